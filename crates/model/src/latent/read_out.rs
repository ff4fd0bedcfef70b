//! Passes T onwards: the last thought and the end token are fed, then the answer is decoded greedily.

use fathom::{ops::arg_max::arg_max, random::Draw};

use super::{ChainThought, Kind, LatentChain};
use crate::{
    body::Input,
    error::Result,
    latents::Latent,
    perturbation::{Perturbation, Scope},
};

impl LatentChain {
    /// GPT-2 bodies answer without perturbation; CoLaR in its published form drops in every pass (spec latenttts
    /// §2.1). At the cap CoLaR's end token is forced, as for the others (§9.15).
    pub(super) fn answer(
        &self,
        mut thoughts: Vec<ChainThought>,
        max_tokens: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        let perturbation = match perturbation {
            Perturbation::Dropout { scope: Scope::Full, .. } if self.kind == Kind::Colar => perturbation,
            _ => Perturbation::None,
        };
        let mut answers = vec![Vec::new(); thoughts.len()];
        let mut next: Vec<Option<u32>> = vec![None; thoughts.len()];
        let mut active: Vec<usize> = if max_tokens == 0 { Vec::new() } else { (0..thoughts.len()).collect() };
        while !active.is_empty() {
            let tokens = self.decode(&mut thoughts, &active, &next, perturbation)?;
            let mut going = Vec::with_capacity(active.len());
            for (&row, token) in active.iter().zip(tokens) {
                if self.ids.eos.contains(&token) {
                    continue;
                }
                answers[row].push(token);
                next[row] = Some(token);
                if answers[row].len() < max_tokens && thoughts[row].sequence.len() < self.context {
                    going.push(row);
                }
            }
            active = going;
        }
        Ok(answers)
    }

    /// One pass of the active rows: what opens the answer at first, then the token before.
    fn decode(
        &self,
        thoughts: &mut [ChainThought],
        active: &[usize],
        next: &[Option<u32>],
        perturbation: Perturbation,
    ) -> Result<Vec<u32>> {
        let latents: Vec<Option<Latent>> = active
            .iter()
            .map(|&row| {
                (!thoughts[row].ended && next[row].is_none()).then(|| thoughts[row].latents.last().cloned())
            })
            .map(Option::flatten)
            .collect();
        let inputs = active.iter().zip(&latents).map(|(&row, latent)| {
            let token = Input::Token(next[row].unwrap_or(self.ids.latent_end));
            latent.iter().map(Latent::input).chain([token]).collect()
        });
        let inputs: Vec<Vec<Input<'_>>> = inputs.collect();
        let draws: Vec<Draw> = active.iter().map(|&row| thoughts[row].draw).collect();
        let wanted = thoughts.iter_mut().enumerate().filter(|(row, _)| active.binary_search(row).is_ok());
        let mut sequences: Vec<_> = wanted.map(|(_, thought)| &mut thought.sequence).collect();
        let states = self.advance(&mut sequences, &inputs, |runs, range| {
            self.disturbance(perturbation, runs, &draws[range])
        })?;
        let mut tokens = Vec::new();
        arg_max(&states, self.body.head(), &mut tokens)?;
        Ok(tokens)
    }
}
