//! What every way of continuing a prompt needs to know.

use crate::{
    error::{Error, Result},
    huginn::{CachePolicy, Criterion},
};

use super::Sampling;

/// Whose rules hold where the published code and its description, or good sense, part ways (spec huginn §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// The published code as it runs, its defects included: for comparison.
    Reference,
    /// Corrected as spec huginn §9 decides.
    #[default]
    Strict,
}

/// What the first state of a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carry {
    /// Drawn at random.
    #[default]
    Fresh,
    /// The last state of the token before it (continuous compute as the adaptive loop was published).
    Raw,
    /// That state behind the final norm (as the plain loop was published).
    Normed,
}

/// When a token stops iterating.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExitRule {
    /// What is compared.
    pub criterion: Criterion,
    /// Below this, or at it for arg-max stability, the token exits.
    pub threshold: f32,
    /// Iterations before the first check.
    pub min_steps: usize,
    /// Iterations from one check to the next.
    pub every: usize,
    /// Whether the prompt may exit, as a whole; else it takes all iterations.
    pub in_prompt: bool,
}

impl ExitRule {
    /// Checks after every iteration, none in the prompt, at the criterion's default threshold.
    pub fn new(criterion: Criterion) -> Self {
        let threshold = criterion.default_threshold();
        Self { criterion, threshold, min_steps: 0, every: 1, in_prompt: false }
    }

    /// Whether there is a check behind the iteration of this number, from 0.
    pub(super) fn due(&self, t: usize) -> bool {
        t >= self.min_steps && (t - self.min_steps).is_multiple_of(self.every.max(1))
    }
}

/// What every way of continuing a prompt needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Iterations r, at most where there is an exit rule.
    pub steps: usize,
    /// How iterations are cached.
    pub cache: CachePolicy,
    /// When a token stops before that.
    pub exit: Option<ExitRule>,
    /// The first state of each token behind the prompt.
    pub carry: Carry,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens of a continuation at most.
    pub max_tokens: usize,
    /// Factor on random first states; 0 makes them zeros.
    pub initial: f32,
    /// Seed of all draws.
    pub seed: u64,
    /// Whose rules hold.
    pub preset: Preset,
}

impl Settings {
    /// Greedy, `steps` iterations a token.
    pub fn new(steps: usize, max_tokens: usize) -> Self {
        Self {
            steps,
            cache: CachePolicy::Full,
            exit: None,
            carry: Carry::Fresh,
            sampling: Sampling::GREEDY,
            max_tokens,
            initial: 1.0,
            seed: 0,
            preset: Preset::Strict,
        }
    }

    /// # Errors
    /// A number that no decoding can have, by the option's name.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |option: &str, what: String| Err(Error::Option { option: option.into(), what });
        if let Some(rule) = &self.exit {
            if self.steps == 0 {
                return refuse("steps", "0 iterations leave no exit a check".into());
            }
            if rule.every == 0 {
                return refuse("every", "a check after no iteration".into());
            }
            if rule.min_steps >= self.steps {
                let what = format!("{} of at most {} iterations leave no check", rule.min_steps, self.steps);
                return refuse("min-steps", what);
            }
            if !rule.criterion.accepts(rule.threshold) {
                return refuse("threshold", format!("{} is no finite number above 0", rule.threshold));
            }
            let checks = (0..self.steps).filter(|&t| rule.due(t)).count();
            if rule.criterion == Criterion::SecondDifference && checks < 2 {
                return refuse("threshold", "is never reached: one check has no change to compare".into());
            }
            // The first check has nothing to compare the arg-max with.
            if rule.criterion == Criterion::ArgmaxStability && rule.threshold > (checks - 1) as f32 {
                let what =
                    format!("{} is never reached: of {checks} checks the first counts 0", rule.threshold);
                return refuse("threshold", what);
            }
        }
        if !self.initial.is_finite() {
            return refuse("initial", format!("{} is no factor", self.initial));
        }
        self.sampling.check()
    }

    /// What is read where positions have iterated differently: under [`Preset::Strict`] a position that exited early is not
    /// left out (spec huginn §9.11).
    pub(super) fn policy(&self) -> CachePolicy {
        match (self.preset, self.cache) {
            (Preset::Strict, CachePolicy::Full) if self.exit.is_some() => CachePolicy::LatestM4,
            (_, policy) => policy,
        }
    }
}
