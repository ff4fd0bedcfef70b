//! Pass 0: the prompt, and the first thought of every trajectory.

use std::sync::atomic::Ordering;

use fathom::{kv::Sequence, random::Draw};

use super::{ChainThought, LatentChain, perturbs_prompt};
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
        let tokens: Vec<Input<'_>> = prompt.iter().map(|&id| Input::Token(id)).collect();
        let copies = if perturbs_prompt(perturbation) { draws.len() } else { 1 };
        self.prefilled.fetch_add(copies, Ordering::Relaxed);
        let mut sequences: Vec<Sequence> = (0..copies).map(|_| self.body.sequence()).collect();
        let mut states = self.advance(
            &mut sequences.iter_mut().collect::<Vec<_>>(),
            &vec![tokens; copies],
            |runs, range| match perturbs_prompt(perturbation) {
                true => self.disturbance(perturbation, runs, &draws[range]),
                false => Disturbance::None,
            },
        )?;
        if !perturbs_prompt(perturbation) {
            // One trajectory forks as many do: where a prompt ends and a thought begins decides how a GPU sums.
            sequences = sequences.remove(0).fork(draws.len());
            states.repeat(draws.len())?;
        }
        self.thoughts(sequences, states, draws, perturbation)
    }

    /// The first thought of each trajectory from its state at the prompt's end.
    fn thoughts(
        &self,
        sequences: Vec<Sequence>,
        states: fathom::Tensor,
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
