//! The states of every position at every iteration, from several initial states.

use fathom::random::Draw;

use super::{CachePolicy, Huginn};
use crate::{
    error::{Error, Result},
    pass::{Disturbance, Run, coordinates},
};

/// Rows of one pass at most, unless the text is longer.
const ROWS: usize = 256;

/// All rows of a pass are at the same iteration, so keys and values of one iteration are all that it reads.
const POLICY: CachePolicy = CachePolicy::Shared { iterations: 1 };

/// The states of a text from one s_0 a position.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `states[p][t]` is s_t `[h]` of position p, t from 0 to r.
    pub states: Vec<Vec<Vec<f32>>>,
}

impl Huginn {
    /// s_0 … s_r of every position of `tokens`, r = `steps`, once for each of `starts` initial states: those of the draws
    /// (`key`, 0), (`key`, 1) … at each position.
    ///
    /// With the key of a prompt's initial states, start 0 is what answering that prompt goes through.
    ///
    /// # Errors
    /// No token, or more than the context holds; a token outside the vocabulary.
    pub fn record(&self, tokens: &[u32], steps: usize, starts: usize, key: u64) -> Result<Vec<Recording>> {
        if tokens.is_empty() {
            return Err(Error::Option { option: "prompt".into(), what: "is empty".into() });
        }
        if tokens.len() > self.context {
            return Err(Error::PromptTooLong { tokens: tokens.len(), context: self.context });
        }
        let draws: Vec<Draw> = (0..starts).map(|start| Draw { key, trajectory: start as u32 }).collect();
        let mut recordings = Vec::with_capacity(starts);
        for draws in draws.chunks((ROWS / tokens.len()).max(1)) {
            let mut sequences: Vec<_> = draws.iter().map(|_| self.sequence()).collect();
            let mut runs: Vec<Run<'_>> =
                sequences.iter_mut().map(|sequence| Run::admit(sequence, tokens.len())).collect();
            let mut state = self.initial_state(&coordinates(&runs, draws, 0))?;
            let mut rows = vec![Vec::with_capacity(steps + 1); state.rows()];
            let mut keep = |state: Vec<Vec<f32>>| {
                rows.iter_mut().zip(state).for_each(|(row, state): (&mut Vec<Vec<f32>>, _)| row.push(state));
            };
            keep(state.to_rows()?);
            self.scratch.with(|scratch| -> Result<()> {
                let embedded = self.prelude(&tokens.repeat(draws.len()), &mut runs, scratch)?;
                let injected = self.inject(&embedded)?;
                for t in 0..steps {
                    let none = Disturbance::None;
                    self.iterate(&mut state, &injected, &mut runs, t, POLICY, &none, scratch)?;
                    keep(state.to_rows()?);
                }
                Ok(())
            })?;
            let mut rows = rows.into_iter();
            recordings.extend(
                draws.iter().map(|_| Recording { states: rows.by_ref().take(tokens.len()).collect() }),
            );
        }
        Ok(recordings)
    }
}
