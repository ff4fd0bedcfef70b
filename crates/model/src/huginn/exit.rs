//! When to stop iterating: the six published criteria (spec huginn §3.2.2), and the second difference of states.

use std::str::FromStr;

use fathom::{
    Device, Error, Result, Tensor,
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
}

impl ExitMonitor {
    /// Starts at the initial state `[positions, h]`.
    pub fn new(criterion: Criterion, threshold: f32, initial: Tensor) -> Self {
        Self {
            criterion,
            threshold,
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
        let newest = if self.criterion.needs_logits() { logits } else { state };
        let exit = check_each(&mut [(self, newest)])?.pop();
        exit.ok_or_else(missing)
    }

    /// Whether the value that the criterion has come to passes the threshold.
    fn exit(&self, value: f64) -> Exit {
        let value = value as f32;
        let exit = match self.criterion {
            Criterion::ArgmaxStability => value >= self.threshold,
            _ => value < self.threshold,
        };
        Exit { value, exit }
    }
}

/// A sequence's monitor with what its criterion compares: the newest state `[positions, h]` or logits `[1, V]`.
type Check<'a> = (&'a mut ExitMonitor, &'a Tensor);

/// As [`ExitMonitor::check`], of several sequences under one criterion: their rows go through the device together, and there is
/// one wait for all of them.
pub(crate) fn check_each(checks: &mut [Check<'_>]) -> Result<Vec<Exit>> {
    let Some((first, _)) = checks.first() else { return Ok(Vec::new()) };
    let values = match first.criterion {
        Criterion::EntropyDiff => {
            let found = distributions(checks, 0.0)?;
            let entropies = checks.iter_mut().map(|(monitor, _)| &mut monitor.entropy).zip(found);
            entropies.map(|(kept, [new, _])| (new - std::mem::replace(kept, new)).abs()).collect()
        }
        Criterion::Kl => distributions(checks, 0.0)?.into_iter().map(|[_, kl]| kl).collect(),
        Criterion::MinpKl => distributions(checks, 0.1)?.into_iter().map(|[_, kl]| kl).collect(),
        Criterion::ArgmaxStability => stability(checks)?,
        Criterion::LatentDiff => means(checks, |[difference, norm, ..]| difference / norm)?,
        Criterion::Cosine => means(checks, |[_, new, old, product]| 1.0 - product / (new * old))?,
        Criterion::SecondDifference => second_differences(checks)?,
    };
    Ok(checks.iter().zip(values).map(|((monitor, _), value)| monitor.exit(value)).collect())
}

/// Entropy of each one's logits, and their KL from the previous ones, uniform at first.
fn distributions(checks: &mut [Check<'_>], min_p: f32) -> Result<Vec<[f64; 2]>> {
    let mut found = vec![[0.0; 2]; checks.len()];
    for begun in [false, true] {
        let of = |(_, (monitor, _)): &(usize, &Check<'_>)| monitor.logits.is_some() == begun;
        let (places, members): (Vec<usize>, Vec<&Check<'_>>) = checks.iter().enumerate().filter(of).unzip();
        if members.is_empty() {
            continue;
        }
        let new = stacked(members.iter().map(|(_, logits)| *logits))?;
        let old = stacked(members.iter().filter_map(|(monitor, _)| monitor.logits.as_ref()))?;
        if new.rows() != places.len() {
            return Err(missing());
        }
        let mut sums = Tensor::empty(new.device());
        entropy(&new, begun.then_some(&old), min_p, &mut sums)?;
        places.into_iter().zip(rows(&sums)?).for_each(|(place, row)| found[place] = row);
    }
    checks.iter_mut().for_each(|(monitor, logits)| monitor.logits = Some(logits.clone()));
    Ok(found)
}

/// For how many checks running each one's arg-max has stayed.
fn stability(checks: &mut [Check<'_>]) -> Result<Vec<f64>> {
    let logits = stacked(checks.iter().map(|(_, logits)| *logits))?.to_rows()?;
    if logits.len() != checks.len() {
        return Err(missing());
    }
    let stays = |((monitor, _), logits): (&mut Check<'_>, Vec<f32>)| {
        let first = (0, f32::NEG_INFINITY);
        let best = logits.into_iter().enumerate().fold(first, |b, (i, x)| if x > b.1 { (i, x) } else { b }).0;
        let stays = monitor.token.replace(best) == Some(best);
        monitor.count = if stays { monitor.count + 1 } else { 0 };
        monitor.count as f64
    };
    Ok(checks.iter_mut().zip(logits).map(stays).collect())
}

/// Mean over each one's positions of `value`, of the distances between the state and the previous one.
fn means(checks: &mut [Check<'_>], value: impl Fn([f64; 4]) -> f64) -> Result<Vec<f64>> {
    let pairs: Vec<_> = checks.iter().map(|(monitor, state)| (*state, &monitor.state)).collect();
    let found = distances(&pairs)?;
    checks.iter_mut().for_each(|(monitor, state)| monitor.state = state.clone());
    let mean = |rows: Vec<[f64; 4]>| rows.iter().map(|&row| value(row)).sum::<f64>() / rows.len() as f64;
    Ok(found.into_iter().map(mean).collect())
}

/// Infinite at a first check, which has no change to compare.
fn second_differences(checks: &mut [Check<'_>]) -> Result<Vec<f64>> {
    let mut changes = Vec::with_capacity(checks.len());
    for (monitor, state) in &mut *checks {
        let mut change = std::mem::replace(&mut monitor.state, state.clone());
        scale(&mut change, -1.0)?;
        add(&mut change, state)?;
        changes.push(monitor.change.replace(change));
    }
    let (mut of_changes, mut of_states) = (Vec::new(), Vec::new());
    for ((monitor, state), before) in checks.iter().zip(&changes) {
        if let (Some(change), Some(before)) = (&monitor.change, before) {
            of_changes.push((change, before));
            of_states.push((*state, before));
        }
    }
    let (of_changes, of_states) = (distances(&of_changes)?, distances(&of_states)?);
    let ratio = |(change, state): (&[f64; 4], &[f64; 4])| change[0] / state[1];
    let mean = |(changes, states): (Vec<[f64; 4]>, Vec<[f64; 4]>)| {
        changes.iter().zip(&states).map(ratio).sum::<f64>() / changes.len().max(1) as f64
    };
    let mut means = of_changes.into_iter().zip(of_states).map(mean);
    let value = |before: &Option<Tensor>| before.as_ref().and_then(|_| means.next()).unwrap_or(f64::INFINITY);
    Ok(changes.iter().map(value).collect())
}

/// [`distance`] of each pair, row by row.
fn distances(pairs: &[(&Tensor, &Tensor)]) -> Result<Vec<Vec<[f64; 4]>>> {
    if let Some((x, y)) = pairs.iter().find(|(x, y)| x.rows() != y.rows()) {
        let what = format!("{} positions, {} at the check before", x.rows(), y.rows());
        return Err(Error::Shape { operation: "exit", what });
    }
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let (new, old) = (stacked(pairs.iter().map(|pair| pair.0))?, stacked(pairs.iter().map(|pair| pair.1))?);
    let mut sums = Tensor::empty(new.device());
    distance(&new, &old, &mut sums)?;
    let mut rows = rows(&sums)?.into_iter();
    Ok(pairs.iter().map(|(x, _)| rows.by_ref().take(x.rows()).collect()).collect())
}

/// The rows of all of them, one behind the other.
fn stacked<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
    let rows: Vec<(&Tensor, usize)> =
        tensors.flat_map(|tensor| (0..tensor.rows()).map(move |row| (tensor, row))).collect();
    let device = rows.first().map_or(&Device::Cpu, |(tensor, _)| tensor.device());
    let mut all = Tensor::empty(device);
    all.gather(&rows)?;
    Ok(all)
}

fn rows<const N: usize>(sums: &Tensor) -> Result<Vec<[f64; N]>> {
    let sums = sums.to_vec()?;
    let (rows, _) = sums.as_chunks::<N>();
    Ok(rows.iter().map(|row| row.map(f64::from)).collect())
}

fn missing() -> Error {
    Error::Shape { operation: "exit", what: "no logits to compare".into() }
}
