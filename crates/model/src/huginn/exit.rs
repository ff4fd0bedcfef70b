//! When to stop iterating: the six published criteria (spec huginn §3.2.2).

use fathom::{Result, Tensor};

/// What is compared from one iteration to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Criterion {
    /// |H_t − H_{t−1}| of the last position's distribution.
    EntropyDiff,
    /// ‖s_t − s_{t−1}‖/‖s_t‖, mean over positions.
    LatentDiff,
    /// KL(p_{t−1} ‖ p_t) of the last position.
    Kl,
    /// As `Kl`, with probabilities below a tenth of the largest set to 1/V and renormalised.
    MinpKl,
    /// For how many iterations running the arg-max of the last position has stayed.
    ArgmaxStability,
    /// 1 − cos(s_t, s_{t−1}), mean over positions.
    Cosine,
}

impl Criterion {
    /// All of them.
    pub const ALL: [Criterion; 6] = [
        Criterion::EntropyDiff,
        Criterion::LatentDiff,
        Criterion::Kl,
        Criterion::MinpKl,
        Criterion::ArgmaxStability,
        Criterion::Cosine,
    ];

    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::EntropyDiff => "entropy-diff",
            Criterion::LatentDiff => "latent-diff",
            Criterion::Kl => "kl",
            Criterion::MinpKl => "minp-kl",
            Criterion::ArgmaxStability => "argmax-stability",
            Criterion::Cosine => "cosine",
        }
    }

    /// The default threshold; the paper's for KL (spec huginn §9.3).
    pub fn default_threshold(self) -> f32 {
        match self {
            Criterion::EntropyDiff | Criterion::Cosine => 1e-3,
            Criterion::LatentDiff => 0.03,
            Criterion::Kl => 5e-4,
            Criterion::MinpKl => 1e-5,
            Criterion::ArgmaxStability => 5.0,
        }
    }

    /// Whether it compares distributions, which cost a coda and a head, rather than states.
    pub fn needs_logits(self) -> bool {
        !matches!(self, Criterion::LatentDiff | Criterion::Cosine)
    }
}

/// One check's outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exit {
    /// The criterion's value.
    pub value: f32,
    /// Whether it passes the threshold: below it, or for arg-max stability at it.
    pub exit: bool,
}

/// Follows one sequence through its iterations.
#[derive(Debug, Clone)]
pub struct ExitMonitor {
    criterion: Criterion,
    threshold: f32,
    state: Tensor,
    entropy: f64,
    probabilities: Option<Vec<f64>>,
    token: Option<usize>,
    count: usize,
}

impl ExitMonitor {
    /// Starts at the initial state `[positions, h]`.
    pub fn new(criterion: Criterion, threshold: f32, initial: Tensor) -> Self {
        Self {
            criterion,
            threshold,
            state: initial,
            entropy: 100.0,
            probabilities: None,
            token: None,
            count: 0,
        }
    }

    /// Compares the newest state `[positions, h]`, or the last position's `logits`, with the previous check's.
    ///
    /// # Errors
    /// What went wrong on the device.
    pub fn check(&mut self, state: &Tensor, logits: &[f32]) -> Result<Exit> {
        let value = match self.criterion {
            Criterion::EntropyDiff => {
                let entropy = -softmax(logits).iter().map(|p| p * (p + 1e-10).ln()).sum::<f64>();
                (entropy - std::mem::replace(&mut self.entropy, entropy)).abs()
            }
            Criterion::Kl => self.divergence(softmax(logits)),
            Criterion::MinpKl => self.divergence(above_tenth(softmax(logits))),
            Criterion::ArgmaxStability => {
                let best = logits
                    .iter()
                    .enumerate()
                    .fold((0, f32::NEG_INFINITY), |b, (i, &x)| if x > b.1 { (i, x) } else { b });
                let stays = self.token.replace(best.0) == Some(best.0);
                self.count = if stays { self.count + 1 } else { 0 };
                self.count as f64
            }
            Criterion::LatentDiff => mean_rows(state, &self.state, |new, old| {
                let difference: f64 = new.iter().zip(old).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                (difference / square(new)).sqrt()
            })?,
            Criterion::Cosine => mean_rows(state, &self.state, |new, old| {
                let dot: f64 = new.iter().zip(old).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                1.0 - dot / (square(new) * square(old)).sqrt()
            })?,
        };
        self.state = state.clone();
        let value = value as f32;
        let exit = if self.criterion == Criterion::ArgmaxStability {
            value >= self.threshold
        } else {
            value < self.threshold
        };
        Ok(Exit { value, exit })
    }

    /// KL from the previous distribution, uniform at first, to `now`.
    fn divergence(&mut self, now: Vec<f64>) -> f64 {
        let uniform = 1.0 / now.len() as f64;
        let before = self.probabilities.take().unwrap_or_else(|| vec![uniform; now.len()]);
        let terms = before.iter().zip(&now).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p.ln() - q.ln()));
        let value = terms.sum();
        self.probabilities = Some(now);
        value
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&x| f64::from(x - max).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}

fn above_tenth(mut p: Vec<f64>) -> Vec<f64> {
    let floor = 0.1 * p.iter().copied().fold(0.0, f64::max);
    let uniform = 1.0 / p.len() as f64;
    p.iter_mut().filter(|p| **p < floor).for_each(|p| *p = uniform);
    let total: f64 = p.iter().sum();
    p.into_iter().map(|p| p / total).collect()
}

fn square(x: &[f32]) -> f64 {
    x.iter().map(|&x| f64::from(x).powi(2)).sum()
}

fn mean_rows(a: &Tensor, b: &Tensor, value: impl Fn(&[f32], &[f32]) -> f64) -> Result<f64> {
    let (a, b) = (a.to_rows()?, b.to_rows()?);
    Ok(a.iter().zip(&b).map(|(a, b)| value(a, b)).sum::<f64>() / a.len() as f64)
}
