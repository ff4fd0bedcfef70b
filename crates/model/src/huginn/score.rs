//! Log-likelihoods of continuations, at several numbers of iterations from one pass over the deepest.

use fathom::{
    Tensor,
    ops::{
        cross_entropy::cross_entropy,
        linear::{Epilogue, linear},
    },
    random::{Draw, Stream, key},
};

use super::{CachePolicy, Huginn};
use crate::{
    error::{Error, Result},
    pass::{Disturbance, Run, coordinates},
    scratch::Scratch,
};

/// Rows of logits at a time: bounds their memory.
const ROWS: usize = 256;

/// All rows of a pass are at the same iteration, so keys and values of one iteration are all that it reads.
const POLICY: CachePolicy = CachePolicy::Shared { iterations: 1 };

/// A prompt and what may follow it; neither is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuation<'a> {
    /// What is given.
    pub prompt: &'a [u32],
    /// What is scored.
    pub tokens: &'a [u32],
}

impl Continuation<'_> {
    /// Rows that it takes in a pass: its last token is not fed.
    pub fn rows(&self) -> usize {
        (self.prompt.len() + self.tokens.len()).saturating_sub(1)
    }
}

impl Huginn {
    /// Checks that a continuation can be scored.
    ///
    /// # Errors
    /// One without a prompt or without tokens; one that does not fit the context.
    pub fn check_continuation(&self, continuation: &Continuation<'_>) -> Result<()> {
        let refuse = |what: String| Err(Error::Option { option: "continuation".into(), what });
        if continuation.prompt.is_empty() || continuation.tokens.is_empty() {
            return refuse("has no prompt or no token of its own".into());
        }
        let (rows, context) = (continuation.rows(), self.context);
        if rows > context {
            return refuse(format!(
                "takes {rows} positions with its prompt and does not fit the context of {context}"
            ));
        }
        Ok(())
    }

    /// ln p of each continuation's tokens given what precedes them, at each r of `steps`, which rise: `[continuation][r]`,
    /// sums in f64. One pass goes over the last r iterations; after each r that is asked for the coda and the head read it.
    ///
    /// s_0 is drawn by seed, prompt and position, so that continuations of one prompt begin alike, and none depends on which
    /// others are in the pass.
    ///
    /// # Errors
    /// As [`Huginn::check_continuation`]; steps that do not rise; a token outside the vocabulary.
    pub fn log_likelihoods<'a>(
        &self,
        continuations: &[Continuation<'a>],
        steps: &[usize],
        seed: u64,
    ) -> Result<Vec<Vec<f64>>> {
        continuations.iter().try_for_each(|continuation| self.check_continuation(continuation))?;
        if !steps.is_sorted_by(|a, b| a < b) {
            return Err(Error::Option { option: "steps".into(), what: "do not rise".into() });
        }
        let mut sums = vec![Vec::with_capacity(steps.len()); continuations.len()];
        let Some(&deepest) = steps.last().filter(|_| !continuations.is_empty()) else { return Ok(sums) };
        let mut sequences: Vec<_> = continuations.iter().map(|_| self.sequence()).collect();
        let admitted = sequences.iter_mut().zip(continuations);
        let mut runs: Vec<Run<'_>> = admitted.map(|(sequence, of)| Run::admit(sequence, of.rows())).collect();
        let fed = |of: &Continuation<'a>| of.prompt.iter().chain(of.tokens).take(of.rows());
        let ids: Vec<u32> = continuations.iter().flat_map(fed).copied().collect();
        let draw = |of: &Continuation<'_>| Draw { key: key(seed, of.prompt, Stream::State), trajectory: 0 };
        let draws: Vec<Draw> = continuations.iter().map(draw).collect();
        let mut state = self.initial_state(&coordinates(&runs, &draws, 0))?;
        self.scratch.with(|scratch| {
            let embedded = self.prelude(&ids, &mut runs, scratch)?;
            let injected = self.inject(&embedded)?;
            for r in 0..=deepest {
                if r > 0 {
                    let none = Disturbance::None;
                    self.iterate(&mut state, &injected, &mut runs, r - 1, POLICY, &none, scratch)?;
                }
                if steps.binary_search(&r).is_ok() {
                    let found = self.read(&state, &mut runs, continuations, scratch)?;
                    sums.iter_mut().zip(found).for_each(|(sums, found)| sums.push(found));
                }
            }
            Ok(sums)
        })
    }

    /// ln p of each continuation's tokens, by the coda and the head on one state.
    fn read(
        &self,
        state: &Tensor,
        runs: &mut [Run<'_>],
        continuations: &[Continuation<'_>],
        scratch: &mut Scratch,
    ) -> Result<Vec<f64>> {
        // The row before each token that is scored.
        let (mut predicting, mut targets) = (Vec::new(), Vec::new());
        let mut first = 0;
        for of in continuations {
            predicting.extend(first + of.prompt.len() - 1..first + of.rows());
            targets.extend(of.tokens.iter().copied().map(Some));
            first += of.rows();
        }
        let hidden = self.coda(state, runs, scratch)?;
        let (mut picked, mut logits) = (Tensor::empty(state.device()), Tensor::empty(state.device()));
        let mut losses = Vec::with_capacity(targets.len());
        for (rows, targets) in predicting.chunks(ROWS).zip(targets.chunks(ROWS)) {
            hidden.select(rows, &mut picked)?;
            linear(&picked, self.head(), None, Epilogue::None, &mut logits)?;
            losses.extend(cross_entropy(&mut logits, targets, 0.0)?);
        }
        let mut losses = losses.into_iter();
        let sum = |of: &Continuation<'_>| -> f64 {
            losses.by_ref().take(of.tokens.len()).map(|loss| -f64::from(loss)).sum()
        };
        Ok(continuations.iter().map(sum).collect())
    }
}
