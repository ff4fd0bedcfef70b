//! How often the core block is iterated at a step of training (spec huginn §4.2).

use fathom::random::{Coordinates, Draw, Site, normals, words};
use serde::{Deserialize, Serialize};

use crate::objective::recurrence::Iterations;

/// The log-normal Poisson scheme that fills gradients up to k: r = Poisson(rate) + 1 with ln(rate) normal, of which the last
/// `backprop` iterations at most have a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurrence {
    /// Mean of the rate.
    pub mean: f64,
    /// Iterations with a gradient at most.
    pub backprop: usize,
    /// σ of ln(rate).
    #[serde(default = "published_sigma")]
    pub sigma: f64,
}

fn published_sigma() -> f64 {
    0.5
}

impl Recurrence {
    /// The iterations of the step whose draws have this key; the same for a whole batch, as in the published run.
    pub fn sample(&self, key: u64) -> Iterations {
        let at = |position: u32| {
            let draw = Draw { key, trajectory: 0 };
            words(Coordinates { draw, position, iteration: 0 }, Site::Latent, 0)
        };
        let [a, b, ..] = at(0);
        let [normal, _] = normals(a, b);
        let rate = (self.mean.ln() - 0.5 * self.sigma * self.sigma + self.sigma * f64::from(normal)).exp();
        let [high, low, ..] = at(1);
        // 53 bits in (0, 1).
        let bits = (u64::from(high) << 32 | u64::from(low)) >> 11;
        let steps = poisson(rate, (bits as f64 + 0.5) / (1u64 << 53) as f64) + 1;
        Iterations { without: steps.saturating_sub(self.backprop), with: steps.min(self.backprop) }
    }
}

/// The smallest count whose cumulative probability reaches `uniform`: one number in gives one number out.
fn poisson(rate: f64, uniform: f64) -> usize {
    let mut count = 0;
    // In logarithms, so that large rates do not underflow.
    let mut log_term = -rate;
    let mut sum = log_term.exp();
    while sum < uniform && (count as f64) < rate + 40.0 * rate.sqrt() + 40.0 {
        count += 1;
        log_term += (rate / count as f64).ln();
        sum += log_term.exp();
    }
    count
}

#[cfg(test)]
mod tests {
    use fathom::random::{Stream, key};

    use super::*;

    /// The statistics of the published scheme (spec huginn §4.2): mean 33.0, median 29, σ 17.97, P(r ≤ 8) 1.45 %, P(r > 64)
    /// 5.8 %. Over 40 000 draws the mean's standard error is 0.09 and the shares' below 0.12 points; bounds are five of them.
    #[test]
    fn statistics_are_the_published_ones() {
        const DRAWS: u64 = 40_000;
        let scheme = Recurrence { mean: 32.0, backprop: 8, sigma: 0.5 };
        let mut counts: Vec<usize> = (0..DRAWS)
            .map(|step| {
                let Iterations { without, with } = scheme.sample(key(3, &[], Stream::Training(step)));
                assert!(with <= 8 && (without == 0 || with == 8));
                without + with
            })
            .collect();
        counts.sort_unstable();
        let mean = counts.iter().sum::<usize>() as f64 / DRAWS as f64;
        let share = |holds: fn(usize) -> bool| {
            counts.iter().filter(|&&count| holds(count)).count() as f64 / DRAWS as f64
        };
        assert!((mean - 33.0).abs() < 0.45, "mean {mean}");
        assert!((28..=30).contains(&counts[DRAWS as usize / 2]), "median {}", counts[DRAWS as usize / 2]);
        assert!((share(|count| count <= 8) - 0.0145).abs() < 0.003);
        assert!((share(|count| count > 64) - 0.058).abs() < 0.006);
    }

    #[test]
    fn counts_follow_cumulative_probabilities() {
        // e^-1 = 0.3679, then 0.7358, 0.9197, 0.9810.
        for (uniform, count) in [(0.3, 0), (0.37, 1), (0.73, 1), (0.74, 2), (0.93, 3)] {
            assert_eq!(poisson(1.0, uniform), count, "{uniform}");
        }
        assert!((900..1100).contains(&poisson(1000.0, 0.5)));
    }
}
