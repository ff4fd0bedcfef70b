//! Passes 1 to T − 1: a thought is fed at its position, the next one comes out.

use fathom::{Tensor, random::Draw};

use super::{ChainThought, LatentChain};
use crate::{body::Input, error::Result, latents::Latent, perturbation::Perturbation, reasoner::Branch};

impl LatentChain {
    /// Additive noise touches the outcome of a pass, not the pass: a branch's pass then runs once for all of its
    /// continuations. Dropout acts inside, so each continuation has a pass of its own.
    pub(super) fn think(
        &self,
        branches: Vec<Branch<ChainThought>>,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<ChainThought>>> {
        let shared = !matches!(perturbation, Perturbation::Dropout { p, .. } if p > 0.0);
        let mut counts = Vec::with_capacity(branches.len());
        let mut active: Vec<(ChainThought, Vec<Draw>)> = Vec::new();
        let mut finished = Vec::new();
        for Branch { thought, draws } in branches {
            if draws.is_empty() {
                counts.push(Some(0));
                continue;
            }
            if thought.ended {
                counts.push(None);
                finished.push(thought);
                continue;
            }
            counts.push(Some(draws.len()));
            if shared {
                active.push((thought, draws));
            } else {
                let forks = fork(thought, &draws);
                active.extend(forks.into_iter().zip(&draws).map(|(thought, &draw)| (thought, vec![draw])));
            }
        }
        let stepped = self.pass(active, perturbation)?;
        let (mut stepped, mut finished) = (stepped.into_iter(), finished.into_iter());
        let outcome = counts.into_iter().map(|count| match count {
            Some(count) => stepped.by_ref().take(count).collect(),
            None => finished.by_ref().take(1).collect(),
        });
        Ok(outcome.collect())
    }

    /// Feeds each thought's newest latent, then forks it into one thought a draw.
    fn pass(
        &self,
        mut active: Vec<(ChainThought, Vec<Draw>)>,
        perturbation: Perturbation,
    ) -> Result<Vec<ChainThought>> {
        let fed: Vec<Latent> =
            active.iter().map(|(t, _)| t.latents.last().unwrap_or(&t.state).clone()).collect();
        let inputs: Vec<Vec<Input<'_>>> = fed.iter().map(|latent| vec![latent.input()]).collect();
        let draws: Vec<Draw> = active.iter().map(|(_, draws)| draws[0]).collect();
        let mut sequences: Vec<_> = active.iter_mut().map(|(thought, _)| &mut thought.sequence).collect();
        let states = self.advance(&mut sequences, &inputs, |runs, range| {
            self.disturbance(perturbation, runs, &draws[range])
        })?;
        let ends = self.ends(&states)?;
        let mut thoughts = Vec::new();
        let mut rows = Vec::new();
        for (row, ((mut thought, draws), state)) in
            active.into_iter().zip(Latent::each(states.clone())).enumerate()
        {
            thought.state = state;
            thought.ended = ends[row];
            rows.extend(std::iter::repeat_n(row, draws.len()));
            thoughts.extend(fork(thought, &draws));
        }
        let next: Vec<_> = thoughts.iter().map(|thought| (thought.draw, thought.sequence.len())).collect();
        let mut forked = Tensor::empty(states.device());
        states.select(&rows, &mut forked)?;
        let latents = Latent::each(self.feed_back(forked, &next, perturbation)?);
        for (thought, latent) in thoughts.iter_mut().zip(latents).filter(|(thought, _)| !thought.ended) {
            thought.latents.push(latent);
        }
        Ok(thoughts)
    }
}

/// One thought a draw that continues `thought`; a single draw takes it over as it is.
fn fork(mut thought: ChainThought, draws: &[Draw]) -> Vec<ChainThought> {
    if let [draw] = draws {
        thought.draw = *draw;
        return vec![thought];
    }
    let ChainThought { sequence, latents, state, ended, .. } = thought;
    let sequences = sequence.fork(draws.len());
    let forks = sequences.into_iter().zip(draws);
    forks
        .map(|(sequence, &draw)| ChainThought {
            sequence,
            draw,
            latents: latents.clone(),
            state: state.clone(),
            ended,
        })
        .collect()
}
