//! What a recurrence does to its states: the figures by which a training run that goes astray is seen (spec huginn §4.6).

use fathom::Tensor;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// Means over the positions of some sequences, after the last of their iterations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dynamics {
    /// ‖s_r‖.
    pub norm: f64,
    /// ‖s_r − s_{r−1}‖ / ‖s_r‖: falls with r where the recurrence settles, and is 0 where the network ignores its state.
    pub change: f64,
    /// Pearson's correlation over channels of s_r at two positions, mean over the pairs of a sequence: 1 where all positions
    /// have one state. Nothing where no sequence has two positions.
    pub correlation: Option<f64>,
}

/// Sums that become [`Dynamics`], over as many batches as there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    norm: f64,
    change: f64,
    positions: usize,
    correlation: f64,
    sequences: usize,
}

impl Sums {
    /// Adds the states before and after an iteration, `[positions, h]`, of sequences of these lengths.
    pub(crate) fn add(
        &mut self,
        [before, after]: [&Tensor; 2],
        lengths: impl Iterator<Item = usize>,
    ) -> Result<()> {
        let width = after.width().max(1);
        let [before, after] = [before.to_vec()?, after.to_vec()?];
        for (old, new) in before.chunks(width).zip(after.chunks(width)) {
            let of = |square: f64| square.sqrt();
            let norm = of(new.iter().map(|&x| f64::from(x).powi(2)).sum());
            let moved = new.iter().zip(old).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
            self.norm += norm;
            self.change += of(moved.sum()) / norm.max(f64::MIN_POSITIVE);
            self.positions += 1;
        }
        let mut first = 0;
        for length in lengths {
            if length > 1 {
                self.correlation += correlation(&after[first * width..(first + length) * width], width);
                self.sequences += 1;
            }
            first += length;
        }
        Ok(())
    }

    /// Nothing before the first position.
    pub(crate) fn means(self) -> Option<Dynamics> {
        let positions = self.positions as f64;
        (self.positions > 0).then(|| Dynamics {
            norm: self.norm / positions,
            change: self.change / positions,
            correlation: (self.sequences > 0).then(|| self.correlation / self.sequences as f64),
        })
    }
}

/// Mean over the pairs of rows: with n_i the centred rows of norm 1, Σ_{i≠j} n_i·n_j = ‖Σ n_i‖² − rows.
fn correlation(states: &[f32], width: usize) -> f64 {
    let mut sum = vec![0.0; width];
    for row in states.chunks(width) {
        let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
        let norm = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>().sqrt();
        for (sum, &x) in sum.iter_mut().zip(row) {
            *sum += (f64::from(x) - mean) / norm.max(f64::MIN_POSITIVE);
        }
    }
    let rows = (states.len() / width) as f64;
    (sum.iter().map(|x| x * x).sum::<f64>() - rows) / (rows * (rows - 1.0))
}

#[cfg(test)]
mod tests {
    use fathom::Device;

    use super::*;

    fn of(before: [[f32; 4]; 4], after: [[f32; 4]; 4], lengths: &[usize]) -> Dynamics {
        let tensor = |rows: [[f32; 4]; 4]| Tensor::new(&Device::Cpu, 4, 4, rows.concat()).unwrap();
        let mut sums = Sums::default();
        sums.add([&tensor(before), &tensor(after)], lengths.iter().copied()).unwrap();
        sums.means().unwrap()
    }

    #[test]
    fn known_figures() {
        let ramp = [1.0, 2.0, 3.0, 4.0];
        let after = [ramp, [2.0, 4.0, 6.0, 8.0], [4.0, 3.0, 2.0, 1.0], ramp];
        let still = of(after, after, &[4]);
        // Of six pairs three are the same up to scale, three opposite.
        assert!(still.correlation.unwrap().abs() < 1e-12 && still.change == 0.0);
        assert!((still.norm - 30f64.sqrt() * 5.0 / 4.0).abs() < 1e-12);
        let alike = of([[0.0; 4]; 4], after, &[2, 1, 1]);
        assert!((alike.correlation.unwrap() - 1.0).abs() < 1e-12 && (alike.change - 1.0).abs() < 1e-12);
        assert_eq!(of(after, after, &[1; 4]).correlation, None);
        let none = of([[0.0; 4]; 4], [[0.0; 4]; 4], &[4]);
        assert!(none.norm == 0.0 && none.change == 0.0 && none.correlation.unwrap().is_finite());
        assert_eq!(Sums::default().means(), None);
    }
}
