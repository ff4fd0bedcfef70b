//! Passes T onwards: the last thought and the end token are fed, then the answer is decoded greedily.

use fathom::{Tokens, ops::arg_max::arg_max, random::Draw};

use super::{ChainThought, Kind, LatentChain};
use crate::{
    body::Input,
    error::Result,
    greedy::{Decoder, greedy},
    latents::Latent,
    perturbation::{Perturbation, Scope},
};

impl LatentChain {
    /// GPT-2 bodies answer without perturbation; CoLaR in its published form drops in every pass (spec latenttts
    /// §2.1). At the cap CoLaR's end token is forced, as for the others (§9.15).
    pub(super) fn answer(
        &self,
        thoughts: Vec<ChainThought>,
        max_tokens: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        let perturbation = match perturbation {
            Perturbation::Dropout { scope: Scope::Full, .. } if self.kind == Kind::Colar => perturbation,
            _ => Perturbation::None,
        };
        self.answer_perturbed(thoughts, max_tokens, perturbation)
    }

    /// [`Reasoner::read_out`](crate::reasoner::Reasoner::read_out) whose passes drop where `perturbation` is dropout, whatever
    /// the kind of chain: the rollouts of the published annotation (spec latenttts §3.3).
    ///
    /// # Errors
    /// As there.
    pub fn answer_perturbed(
        &self,
        thoughts: Vec<ChainThought>,
        max_tokens: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        let (rows, device) = (thoughts.len(), self.body.head().device());
        let mut answering = Answering { chain: self, thoughts, perturbation };
        greedy(device, rows, max_tokens, &self.ids.eos, &mut answering)
    }
}

struct Answering<'a> {
    chain: &'a LatentChain,
    thoughts: Vec<ChainThought>,
    perturbation: Perturbation,
}

impl Decoder for Answering<'_> {
    fn room(&self, row: usize) -> usize {
        self.chain.context - self.thoughts[row].sequence.len().min(self.chain.context)
    }

    /// What opens an answer: the last thought, unless it ended by itself and was fed, and the token that closes it.
    fn pass(&mut self, rows: &[usize], places: Option<&[usize]>, chosen: &mut Tokens) -> Result<()> {
        let Self { chain, thoughts, perturbation } = self;
        let last = |row: usize| {
            let thought = &thoughts[row];
            thought.latents.last().filter(|_| !thought.ended && places.is_none()).cloned()
        };
        let latents: Vec<Option<Latent>> = rows.iter().map(|&row| last(row)).collect();
        let inputs = latents.iter().enumerate().map(|(at, latent)| {
            let token = match places {
                Some(places) => Input::Chosen(chosen, places[at]),
                None => Input::Token(chain.ids.latent_end),
            };
            latent.iter().map(Latent::input).chain([token]).collect()
        });
        let inputs: Vec<Vec<Input<'_>>> = inputs.collect();
        let draws: Vec<Draw> = rows.iter().map(|&row| thoughts[row].draw).collect();
        let wanted = thoughts.iter_mut().enumerate().filter(|(row, _)| rows.binary_search(row).is_ok());
        let mut sequences: Vec<_> = wanted.map(|(_, thought)| &mut thought.sequence).collect();
        let states = chain.advance(&mut sequences, &inputs, |runs, range| {
            chain.disturbance(*perturbation, runs, &draws[range])
        })?;
        drop(inputs);
        Ok(arg_max(&states, chain.body.head(), chosen)?)
    }
}
