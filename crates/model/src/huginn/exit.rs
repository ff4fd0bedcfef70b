//! When to stop iterating: the six published criteria (spec huginn §3.2.2), and the second difference of states.

use std::str::FromStr;

use fathom::{
    Error, Result, Tensor,
    ops::{add::add, distance::distance, entropy::entropy, scale::scale},
};

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
    /// ‖(s_t − s_{t−1}) − (s_{t−1} − s_{t−2})‖/‖s_t‖, mean over positions: a state that circles at an even pace has not come
    /// to rest, but goes nowhere new.
    SecondDifference,
}

impl Criterion {
    /// All of them.
    pub const ALL: [Criterion; 7] = [
        Criterion::EntropyDiff,
        Criterion::LatentDiff,
        Criterion::Kl,
        Criterion::MinpKl,
        Criterion::ArgmaxStability,
        Criterion::Cosine,
        Criterion::SecondDifference,
    ];

    /// Its name, published but for the last.
    pub fn name(self) -> &'static str {
        match self {
            Criterion::EntropyDiff => "entropy-diff",
            Criterion::LatentDiff => "latent-diff",
            Criterion::Kl => "kl",
            Criterion::MinpKl => "minp-kl",
            Criterion::ArgmaxStability => "argmax-stability",
            Criterion::Cosine => "cosine",
            Criterion::SecondDifference => "second-difference",
        }
    }

    /// The default threshold; the paper's for KL (spec huginn §9.3).
    pub fn default_threshold(self) -> f32 {
        match self {
            Criterion::EntropyDiff | Criterion::Cosine => 1e-3,
            Criterion::LatentDiff | Criterion::SecondDifference => 0.03,
            Criterion::Kl => 5e-4,
            Criterion::MinpKl => 1e-5,
            Criterion::ArgmaxStability => 5.0,
        }
    }

    /// Whether it compares distributions, which cost a coda and a head, rather than states.
    pub fn needs_logits(self) -> bool {
        !matches!(self, Criterion::LatentDiff | Criterion::Cosine | Criterion::SecondDifference)
    }

    /// Whether a threshold can be reached at all: it is a number, and above 0.
    pub fn accepts(self, threshold: f32) -> bool {
        threshold.is_finite() && threshold > 0.0
    }
}

impl FromStr for Criterion {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|criterion| criterion.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|criterion| criterion.name()).collect();
            format!("'{name}' is not known (known: {})", known.join(", "))
        })
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
    logits: Option<Tensor>,
    token: Option<usize>,
    count: usize,
    /// s_{t−1} − s_{t−2}.
    change: Option<Tensor>,
    sums: Tensor,
}

impl ExitMonitor {
    /// Starts at the initial state `[positions, h]`.
    pub fn new(criterion: Criterion, threshold: f32, initial: Tensor) -> Self {
        Self {
            criterion,
            threshold,
            sums: Tensor::empty(initial.device()),
            state: initial,
            entropy: 100.0,
            logits: None,
            token: None,
            count: 0,
            change: None,
        }
    }

    /// Compares the newest state `[positions, h]`, or the last position's `logits` `[1, V]`, with the previous check's; what
    /// the criterion does not compare may be empty.
    ///
    /// # Errors
    /// A state of another shape than before; logits that are missing; what went wrong on the device.
    pub fn check(&mut self, state: &Tensor, logits: &Tensor) -> Result<Exit> {
        let value = match self.criterion {
            Criterion::EntropyDiff => {
                let [entropy, _] = self.compare(logits, 0.0)?;
                (entropy - std::mem::replace(&mut self.entropy, entropy)).abs()
            }
            Criterion::Kl => self.compare(logits, 0.0)?[1],
            Criterion::MinpKl => self.compare(logits, 0.1)?[1],
            Criterion::ArgmaxStability => {
                let best = logits
                    .to_vec()?
                    .into_iter()
                    .enumerate()
                    .fold((0, f32::NEG_INFINITY), |b, (i, x)| if x > b.1 { (i, x) } else { b });
                let stays = self.token.replace(best.0) == Some(best.0);
                self.count = if stays { self.count + 1 } else { 0 };
                self.count as f64
            }
            Criterion::LatentDiff => self.mean(state, |[difference, norm, ..]| difference / norm)?,
            Criterion::Cosine => self.mean(state, |[_, new, old, product]| 1.0 - product / (new * old))?,
            Criterion::SecondDifference => self.second_difference(state)?,
        };
        let value = value as f32;
        let exit = if self.criterion == Criterion::ArgmaxStability {
            value >= self.threshold
        } else {
            value < self.threshold
        };
        Ok(Exit { value, exit })
    }

    /// Entropy of the logits, and their KL from the previous ones, uniform at first.
    fn compare(&mut self, logits: &Tensor, min_p: f32) -> Result<[f64; 2]> {
        entropy(logits, self.logits.as_ref(), min_p, &mut self.sums)?;
        self.logits = Some(logits.clone());
        let missing = || Error::Shape { operation: "exit", what: "no logits to compare".into() };
        self.rows()?.first().copied().ok_or_else(missing)
    }

    /// Mean of `value` over positions, of the distances between the state and the previous one.
    fn mean(&mut self, state: &Tensor, value: impl Fn([f64; 4]) -> f64) -> Result<f64> {
        distance(state, &self.state, &mut self.sums)?;
        self.state = state.clone();
        let rows = self.rows()?;
        Ok(rows.iter().map(|&row| value(row)).sum::<f64>() / rows.len() as f64)
    }

    /// Infinite at the first check, which has no change to compare.
    fn second_difference(&mut self, state: &Tensor) -> Result<f64> {
        let mut change = std::mem::replace(&mut self.state, state.clone());
        scale(&mut change, -1.0)?;
        add(&mut change, state)?;
        let Some(before) = self.change.replace(change.clone()) else { return Ok(f64::INFINITY) };
        distance(&change, &before, &mut self.sums)?;
        let changes: Vec<[f64; 4]> = self.rows()?;
        distance(state, &before, &mut self.sums)?;
        let states: Vec<[f64; 4]> = self.rows()?;
        let of_row = |(change, state): (&[f64; 4], &[f64; 4])| change[0] / state[1];
        Ok(changes.iter().zip(&states).map(of_row).sum::<f64>() / changes.len().max(1) as f64)
    }

    fn rows<const N: usize>(&self) -> Result<Vec<[f64; N]>> {
        let sums = self.sums.to_vec()?;
        let (rows, _) = sums.as_chunks::<N>();
        Ok(rows.iter().map(|row| row.map(f64::from)).collect())
    }
}
