//! Cross-entropy of each row and its gradient, in place.

use rayon::prelude::*;

use super::{activation::exp, simd::widest};

/// Lanes of maximum and sum.
const LANES: usize = 64;

/// The losses of the rows; x becomes scale·(softmax(x) − 1 at the target), 0 without one.
pub(crate) fn cross_entropy(x: &mut [f32], width: usize, targets: &[Option<u32>], scale: f32) -> Vec<f32> {
    let rows = x.par_chunks_mut(width).zip(targets);
    let loss = |(x, target): (&mut [f32], &Option<u32>)| {
        let Some(target) = target.map(|target| target as usize) else {
            x.fill(0.0);
            return 0.0;
        };
        let (chosen, mut largest, mut total) = (x[target], 0.0, 0.0);
        soften(x, &mut largest, &mut total);
        weigh(x, scale / total);
        x[target] -= scale;
        // In double precision: of a confident row, what is left is the rounding of the total.
        (f64::from(total).ln() - (f64::from(chosen) - f64::from(largest))) as f32
    };
    rows.map(loss).collect()
}

widest! {
    /// x ← exp(x − largest); their sum by column mod 64, then halves onto halves.
    fn soften(x: &mut [f32], largest: &mut f32, total: &mut f32) {
        let mut most = [f32::NEG_INFINITY; LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for x in whole {
            most.iter_mut().zip(x).for_each(|(most, &x)| *most = if x > *most { x } else { *most });
        }
        let most = most.iter().chain(rest).fold(f32::NEG_INFINITY, |most, &x| if x > most { x } else { most });
        let mut sums = [0.0; LANES];
        let (whole, rest) = x.as_chunks_mut::<LANES>();
        for x in whole {
            for (x, sum) in x.iter_mut().zip(&mut sums) {
                *x = exp(*x - most);
                *sum += *x;
            }
        }
        for (x, sum) in rest.iter_mut().zip(&mut sums) {
            *x = exp(*x - most);
            *sum += *x;
        }
        for half in [32, 16, 8, 4, 2, 1] {
            for lane in 0..half {
                sums[lane] += sums[lane + half];
            }
        }
        (*largest, *total) = (most, sums[0]);
    }
}

widest! {
    fn weigh(x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|x| *x *= factor);
    }
}
