//! Pass 0: the prompt, and the first thought of every trajectory.

use std::sync::atomic::Ordering;

use fathom::{Tensor, kv::Sequence, random::Draw};

use super::{ChainThought, LatentChain};
use crate::{
    body::Input,
    error::{Error, Result},
    latents::Latent,
    pass::Disturbance,
    perturbation::Perturbation,
};

impl LatentChain {
    pub(super) fn begin(
        &self,
        prompt: &[u32],
        steps: usize,
        draws: &[Draw],
        perturbation: Perturbation,
    ) -> Result<Vec<ChainThought>> {
        self.check(prompt, steps, perturbation)?;
        if draws.is_empty() {
            return Ok(Vec::new());
        }
        let (sequences, states) = self.ask(prompt, draws, perturbation)?;
        self.thoughts(sequences, states, draws, perturbation)
    }

    /// Thoughts of one prompt, one a draw, that have `latents` behind them: the newest is not fed yet. Where the perturbation
    /// acts inside passes, prompt and latents go through the network again under each draw's masks.
    ///
    /// # Errors
    /// As [`Reasoner::prefill`](crate::reasoner::Reasoner::prefill); no latent, or one of another width.
    pub fn recall(
        &self,
        prompt: &[u32],
        latents: &[Latent],
        draws: &[Draw],
        perturbation: Perturbation,
    ) -> Result<Vec<ChainThought>> {
        self.check(prompt, latents.len(), perturbation)?;
        if draws.is_empty() {
            return Ok(Vec::new());
        }
        let (mut sequences, mut states) = self.ask(prompt, draws, perturbation)?;
        let fed: Vec<Input<'_>> = latents[..latents.len() - 1].iter().map(Latent::input).collect();
        if !fed.is_empty() {
            states = self.advance(
                &mut sequences.iter_mut().collect::<Vec<_>>(),
                &vec![fed; draws.len()],
                |runs, range| self.disturbance(perturbation, runs, &draws[range]),
            )?;
        }
        let rows = sequences.into_iter().zip(draws).zip(Latent::each(states));
        let thoughts = rows.map(|((sequence, &draw), state)| ChainThought {
            sequence,
            draw,
            latents: latents.to_vec(),
            state,
            ended: false,
        });
        Ok(thoughts.collect())
    }

    /// Keys, values and last state of a prompt for each draw: computed once where the perturbation leaves it as it is.
    fn ask(
        &self,
        prompt: &[u32],
        draws: &[Draw],
        perturbation: Perturbation,
    ) -> Result<(Vec<Sequence>, Tensor)> {
        let tokens: Vec<Input<'_>> = prompt.iter().map(|&id| Input::Token(id)).collect();
        let copies = if perturbation.reaches_prompt() { draws.len() } else { 1 };
        self.prefilled.fetch_add(copies, Ordering::Relaxed);
        let mut sequences: Vec<Sequence> = (0..copies).map(|_| self.body.sequence()).collect();
        let mut states = self.advance(
            &mut sequences.iter_mut().collect::<Vec<_>>(),
            &vec![tokens; copies],
            |runs, range| match perturbation.reaches_prompt() {
                true => self.disturbance(perturbation, runs, &draws[range]),
                false => Disturbance::None,
            },
        )?;
        if !perturbation.reaches_prompt() {
            // One trajectory forks as many do: where a prompt ends and a thought begins decides how a GPU sums.
            sequences = sequences.remove(0).fork(draws.len());
            states.repeat(draws.len())?;
        }
        Ok((sequences, states))
    }

    /// The first thought of each trajectory from its state at the prompt's end.
    fn thoughts(
        &self,
        sequences: Vec<Sequence>,
        states: Tensor,
        draws: &[Draw],
        perturbation: Perturbation,
    ) -> Result<Vec<ChainThought>> {
        let ends = self.ends(&states)?;
        let next: Vec<_> =
            draws.iter().zip(&sequences).map(|(&draw, sequence)| (draw, sequence.len())).collect();
        let latents = Latent::each(self.feed_back(states.clone(), &next, perturbation)?);
        let rows = sequences.into_iter().zip(draws).zip(ends).zip(Latent::each(states)).zip(latents);
        let thoughts = rows.map(|((((sequence, &draw), ended), state), latent)| ChainThought {
            sequence,
            draw,
            latents: if ended { Vec::new() } else { vec![latent] },
            state,
            ended,
        });
        Ok(thoughts.collect())
    }

    fn check(&self, prompt: &[u32], steps: usize, perturbation: Perturbation) -> Result<()> {
        let option =
            |option: &str, what: &str| Err(Error::Option { option: option.into(), what: what.into() });
        if prompt.is_empty() {
            return option("prompt", "is empty");
        }
        if steps == 0 {
            return option("--steps", "a latent chain-of-thought takes at least one step");
        }
        if perturbation == Perturbation::State {
            return option("--sampler", "state resamples the initial state, which only recurrent depth has");
        }
        // The thoughts, the end token and one token of the answer have to follow.
        let tokens = prompt.len().saturating_add(steps).saturating_add(1);
        if tokens > self.context {
            return Err(Error::PromptTooLong { tokens, context: self.context });
        }
        Ok(())
    }
}
