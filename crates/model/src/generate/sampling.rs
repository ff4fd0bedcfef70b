//! From logits to a token: penalty, temperature, top-k, top-p, min-p, in the published order (spec huginn §3.2).

use super::Preset;
use crate::error::{Error, Result};

/// How a token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides logits; 0 takes the largest.
    pub temperature: f32,
    /// Tokens at least as likely as the k-th; 0 keeps all.
    pub top_k: usize,
    /// The likeliest tokens up to this share of the probability.
    pub top_p: f32,
    /// Tokens at least this share as likely as the likeliest.
    pub min_p: f32,
    /// Divides positive logits of tokens that stand in the text already, and multiplies negative ones.
    pub repetition_penalty: f32,
}

impl Sampling {
    /// The likeliest token.
    pub const GREEDY: Self =
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 };

    /// Whether the likeliest token is taken.
    pub fn greedy(&self) -> bool {
        self.temperature == 0.0
    }

    pub(super) fn check(&self) -> Result<()> {
        let within = |option: &str, value: f32, inside: bool, range: &str| match inside {
            true => Ok(()),
            false => Err(Error::Option { option: option.into(), what: format!("{value} is not in {range}") }),
        };
        let Self { temperature, top_p, min_p, repetition_penalty: penalty, .. } = *self;
        within("temperature", temperature, (0.0..f32::INFINITY).contains(&temperature), "[0, ∞)")?;
        within("top-p", top_p, top_p > 0.0 && top_p <= 1.0, "(0, 1]")?;
        within("min-p", min_p, (0.0..=1.0).contains(&min_p), "[0, 1]")?;
        within("repetition-penalty", penalty, (0.01..=100.0).contains(&penalty), "[0.01, 100]")
    }

    /// The logits of a text's next token, repetitions made less likely.
    pub fn penalise(&self, logits: &mut [f32], text: &[u32]) {
        if self.repetition_penalty == 1.0 {
            return;
        }
        let mut seen: Vec<u32> = text.to_vec();
        seen.sort_unstable();
        seen.dedup();
        for id in seen {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = match *logit > 0.0 {
                    true => *logit / self.repetition_penalty,
                    false => *logit * self.repetition_penalty,
                };
            }
        }
    }

    /// The probability of each token: what is left of softmax(logits/temperature), or all of it on the first of the largest.
    pub fn probabilities(&self, logits: &[f32], preset: Preset) -> Vec<f32> {
        if self.greedy() {
            let mut all = vec![0.0; logits.len()];
            if let Some(place) = all.get_mut(largest(logits)) {
                *place = 1.0;
            }
            return all;
        }
        let mut all = softmax(logits, self.temperature);
        if self.top_k > 0 && self.top_k < all.len() {
            let mut sorted = all.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let least = sorted[self.top_k - 1];
            all.iter_mut().filter(|p| **p < least).for_each(|p| *p = 0.0);
        }
        if self.top_p < 1.0 {
            self.nucleus(&mut all, preset);
        }
        let most = all.iter().copied().fold(0.0, f32::max);
        all.iter_mut().filter(|p| **p < self.min_p * most).for_each(|p| *p = 0.0);
        let sum: f32 = all.iter().sum();
        all.iter_mut().for_each(|p| *p /= sum);
        all
    }

    /// Keeps the likeliest tokens whose sum reaches top-p. The published code leaves out the one that crosses it, and sums
    /// what top-k has left without making it 1 again (spec huginn §9.10).
    fn nucleus(&self, all: &mut [f32], preset: Preset) {
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|&a, &b| all[b].total_cmp(&all[a]));
        let whole: f32 = match preset {
            Preset::Reference => 1.0,
            Preset::Strict => all.iter().sum(),
        };
        let mut sum = 0.0;
        for (rank, id) in order.into_iter().enumerate() {
            let before = sum;
            sum += all[id] / whole;
            let beyond = match preset {
                Preset::Reference => sum > self.top_p,
                Preset::Strict => before >= self.top_p,
            };
            if rank > 0 && beyond {
                all[id] = 0.0;
            }
        }
    }
}

/// softmax(logits/temperature), f32 but for the sum.
fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|&x| ((x - most) / temperature).exp()).collect();
    let sum: f64 = exponentials.iter().map(|&x| f64::from(x)).sum();
    exponentials.into_iter().map(|x| (f64::from(x) / sum) as f32).collect()
}

/// The first of the largest.
pub(super) fn largest(values: &[f32]) -> usize {
    values
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (id, &x)| if x > best.1 { (id, x) } else { best })
        .0
}

/// The token at which the sum of probabilities passes `uniform`, in the order of ids.
pub(super) fn choose(probabilities: &[f32], uniform: f64) -> u32 {
    let whole: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
    let (mut sum, mut last) = (0.0, 0);
    for (id, &p) in probabilities.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        sum += f64::from(p);
        last = id as u32;
        if sum > uniform * whole {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 5] = [2.0, 1.0, 0.5, -1.0, -2.0];

    fn kept(sampling: Sampling, preset: Preset) -> Vec<usize> {
        let all = sampling.probabilities(&LOGITS, preset);
        assert!((all.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        (0..all.len()).filter(|&id| all[id] > 0.0).collect()
    }

    /// The token that crosses top-p stays, but not in the published code; the likeliest always does.
    #[test]
    fn top_p_keeps_what_crosses_it() {
        // softmax: 0.600, 0.221, 0.134, 0.030, 0.011.
        let plain = Sampling { temperature: 1.0, ..Sampling::GREEDY };
        let top_p = |top_p| Sampling { top_p, ..plain };
        assert_eq!(kept(top_p(0.7), Preset::Strict), [0, 1]);
        assert_eq!(kept(top_p(0.7), Preset::Reference), [0]);
        assert_eq!(kept(top_p(0.1), Preset::Reference), [0]);
        assert_eq!(kept(top_p(1.0), Preset::Strict), [0, 1, 2, 3, 4]);
        assert_eq!(kept(Sampling { top_k: 2, ..top_p(0.75) }, Preset::Strict), [0, 1]);
        assert_eq!(kept(Sampling { top_k: 2, ..top_p(0.72) }, Preset::Strict), [0]);
        assert_eq!(kept(Sampling { min_p: 0.3, ..plain }, Preset::Strict), [0, 1]);
    }

    #[test]
    fn a_number_chooses_in_proportion() {
        let all = [0.25, 0.0, 0.75];
        assert_eq!([0.0, 0.2, 0.25, 0.9, 0.9999].map(|u| choose(&all, u)), [0, 0, 2, 2, 2]);
        let mut logits = LOGITS;
        Sampling { repetition_penalty: 2.0, ..Sampling::GREEDY }.penalise(&mut logits, &[0, 3, 3]);
        assert_eq!(logits, [1.0, 1.0, 0.5, -2.0, -2.0]);
        assert_eq!(kept(Sampling::GREEDY, Preset::Strict), [0]);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let base = Sampling { temperature: 1.0, ..Sampling::GREEDY };
        let bad = [
            Sampling { temperature: -1.0, ..base },
            Sampling { temperature: f32::NAN, ..base },
            Sampling { top_p: 0.0, ..base },
            Sampling { min_p: 1.5, ..base },
            Sampling { repetition_penalty: 0.0, ..base },
        ];
        bad.iter().for_each(|sampling| assert!(sampling.check().is_err(), "{sampling:?}"));
        assert!(base.check().is_ok());
    }
}
