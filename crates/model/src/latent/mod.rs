//! Latent chain-of-thought: COCONUT, CODI and CoLaR (spec latenttts §1).

mod feedback;
mod prefill;
mod read_out;
mod step;

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

use fathom::{
    Device, Keep, Tensor, Tokens,
    kv::Sequence,
    ops::{arg_max::arg_max, perturb::perturb},
    random::{Coordinates, Draw, Site},
};

pub use feedback::{Feedback, Projector};
use rayon::prelude::*;

use crate::{
    body::{Body, Input},
    config::{Config, SpecialIds},
    error::{Error, Result},
    latents::Latent,
    load::fits_cache,
    pass::{Disturbance, DropSites, Run, Wanted, coordinates},
    perturbation::{Perturbation, Sites},
    reasoner::{Branch, Reasoner, Thought},
    scratch::Pool,
    weights::Loader,
};

/// Rows of one forward at most: bounds the memory of activations, and leaves enough rows to fill the kernels.
const ROWS: usize = 256;

/// The three published forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The raw state is fed back, a fixed number of times.
    Coconut,
    /// The projected state is fed back, a fixed number of times.
    Codi,
    /// The latent head's output is fed back until the model writes its end token, or to a cap.
    Colar,
}

/// A latent chain-of-thought reasoner.
#[derive(Debug)]
pub struct LatentChain {
    kind: Kind,
    body: Body,
    feedback: Feedback,
    ids: ChainIds,
    context: usize,
    scratch: Pool,
    prefilled: AtomicUsize,
}

/// The ids that steer a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainIds {
    /// Closes the latent phase.
    pub latent_end: u32,
    /// Placeholder of a thought in token sequences.
    pub latent: u32,
    /// Ends an answer.
    pub eos: Vec<u32>,
}

/// One trajectory of a chain.
#[derive(Debug)]
pub struct ChainThought {
    sequence: Sequence,
    draw: Draw,
    latents: Vec<Latent>,
    /// State after the final norm that the newest latent was made from, `[h]`.
    state: Latent,
    ended: bool,
}

impl Thought for ChainThought {
    fn latents(&self) -> &[Latent] {
        &self.latents
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

impl ChainThought {
    /// State after the final norm at the newest position, `[h]`.
    pub fn state(&self) -> &Latent {
        &self.state
    }

    /// Keys and values.
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// The thought as it is now, to be continued apart from this one.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn duplicate(&self) -> Result<Self> {
        let Self { sequence, draw, latents, state, ended } = self;
        let (latents, state) = (latents.clone(), state.clone());
        Ok(Self { sequence: sequence.duplicate()?, draw: *draw, latents, state, ended: *ended })
    }
}

impl LatentChain {
    pub(crate) fn load(config: &Config, ids: &SpecialIds, loader: &Loader<'_>) -> Result<Self> {
        let place = || loader.checkpoint.place().to_owned();
        let missing = |token: &str| Error::UnknownSpecialToken { path: place(), token: token.into() };
        let body = Body::load(config, loader)?;
        let feedback = Feedback::load(config, loader)?;
        let kind = match &feedback {
            Feedback::Identity => Kind::Coconut,
            Feedback::Projector(_) => Kind::Codi,
            Feedback::LatentHead { .. } => Kind::Colar,
        };
        let ids = ChainIds {
            latent_end: ids.latent_end.ok_or_else(|| missing("<|end-latent|>"))?,
            latent: ids.latent.ok_or_else(|| missing("<|latent|>"))?,
            eos: ids.eos.clone(),
        };
        Ok(Self {
            kind,
            body,
            feedback,
            ids,
            context: config.context(),
            scratch: Pool::new(&loader.device, loader.dtype),
            prefilled: AtomicUsize::new(0),
        })
    }

    /// Which published form this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The transformer.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// φ.
    pub fn feedback(&self) -> &Feedback {
        &self.feedback
    }

    /// The ids that steer it.
    pub fn ids(&self) -> &ChainIds {
        &self.ids
    }

    /// Longest sequence.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Prompts computed so far: what a test counts to see that trajectories share one.
    pub fn prompts_prefilled(&self) -> usize {
        self.prefilled.load(Ordering::Relaxed)
    }

    /// States after the final norm at the last row of each sequence, whose next inputs are given.
    ///
    /// # Errors
    /// As [`Body::forward`]; a sequence that outgrows the context.
    pub fn advance<'d>(
        &self,
        sequences: &mut [&mut Sequence],
        inputs: &[Vec<Input<'_>>],
        disturbance: impl Fn(&[Run<'_>], Range<usize>) -> Disturbance<'d> + Sync,
    ) -> Result<Tensor> {
        if sequences.len() != inputs.len() {
            let what = format!("{} sequences and inputs of {}", sequences.len(), inputs.len());
            return Err(fathom::Error::Shape { operation: "advance", what }.into());
        }
        let longest = sequences.iter().zip(inputs).map(|(sequence, rows)| sequence.len() + rows.len()).max();
        if let Some(tokens) = longest.filter(|&tokens| tokens > self.context) {
            return Err(Error::PromptTooLong { tokens, context: self.context });
        }
        let width = self.body.width();
        let device = self.body.head().device();
        let (mut left, mut first) = (sequences, 0);
        let mut parts = Vec::new();
        for count in parts_of(inputs, self.most_rows(inputs)) {
            let (sequences, others) = left.split_at_mut(count);
            parts.push((first, sequences));
            (left, first) = (others, first + count);
        }
        let pass =
            |(first, sequences): (usize, &mut [&mut Sequence]), states: &mut Tensor, at| -> Result<()> {
                let range = first..first + sequences.len();
                let inputs = &inputs[range.clone()];
                let flat = inputs.concat();
                let admitted = sequences.iter_mut().zip(inputs);
                let mut runs: Vec<Run<'_>> =
                    admitted.map(|(sequence, rows)| Run::admit(sequence, rows.len())).collect();
                let disturbance = disturbance(&runs, range);
                self.scratch.with(|scratch| {
                    let x = self.body.forward(&flat, &mut runs, &disturbance, Wanted::Last, scratch)?;
                    Ok(states.put(at, x)?)
                })
            };
        let mut states = Tensor::empty(device);
        states.reshape(first, width)?;
        if self.side_by_side() {
            let alone = |part: (usize, &mut [&mut Sequence])| -> Result<(usize, Tensor)> {
                let (first, count) = (part.0, part.1.len());
                let mut states = Tensor::zeros(device, count, width)?;
                pass(part, &mut states, 0)?;
                Ok((first, states))
            };
            for (first, part) in parts.into_par_iter().map(alone).collect::<Result<Vec<_>>>()? {
                states.put(first, &part)?;
            }
        } else {
            for part in parts {
                let first = part.0;
                pass(part, &mut states, first)?;
            }
        }
        Ok(states)
    }

    /// Whether each thread goes through the weights on rows of its own, because they fit a processor's cache.
    fn side_by_side(&self) -> bool {
        *self.body.head().device() == Device::Cpu && fits_cache(self.body.bytes())
    }

    /// Rows of one forward at most.
    fn most_rows(&self, inputs: &[Vec<Input<'_>>]) -> usize {
        let all: usize = inputs.iter().map(Vec::len).sum();
        if self.side_by_side() { all.div_ceil(rayon::current_num_threads()).min(ROWS) } else { ROWS }
    }

    /// Turns states into thoughts: φ, then additive noise where the perturbation is that. Noise on a latent carries
    /// the position at which the latent will be fed.
    pub fn feed_back(
        &self,
        states: Tensor,
        next: &[(Draw, usize)],
        perturbation: Perturbation,
    ) -> Result<Tensor> {
        let mut latents = self.feedback.apply(states)?;
        if let Perturbation::Noise { std, .. } = perturbation {
            let rows = next.iter().map(|&(draw, position)| Coordinates {
                draw,
                position: position as u32,
                iteration: 0,
            });
            let rows: Vec<_> = rows.collect();
            perturb(&mut latents, Disturbance::Noise { std, rows }.at(Site::Latent))?;
        }
        Ok(latents)
    }

    /// The perturbation of a pass whose rows belong to `draws`.
    fn disturbance(
        &self,
        perturbation: Perturbation,
        runs: &[Run<'_>],
        draws: &[Draw],
    ) -> Disturbance<'static> {
        match perturbation {
            Perturbation::Dropout { p, sites, .. } if p > 0.0 => Disturbance::Dropout {
                keep: Keep::new(p),
                sites: self.drop_sites(sites),
                rows: coordinates(runs, draws, 0),
            },
            _ => Disturbance::None,
        }
    }

    fn drop_sites(&self, sites: Sites) -> DropSites {
        let attention = self.kind != Kind::Colar && sites != Sites::Mlp;
        let embedding = self.kind != Kind::Colar && sites == Sites::ResidEmbd;
        DropSites { embedding, attention, mlp: true, latent: false }
    }

    /// For each state, whether the model writes its end token there; only CoLaR ends by itself.
    fn ends(&self, states: &Tensor) -> Result<Vec<bool>> {
        if self.kind != Kind::Colar {
            return Ok(vec![false; states.rows()]);
        }
        let mut tokens = Tokens::empty(states.device());
        arg_max(states, self.body.head(), &mut tokens)?;
        Ok(tokens.to_vec()?.into_iter().map(|token| token == self.ids.latent_end).collect())
    }
}

/// How many sequences go together, in turn, so that they have at most `most` rows, or one sequence more.
fn parts_of(inputs: &[Vec<Input<'_>>], most: usize) -> Vec<usize> {
    let mut parts: Vec<usize> = Vec::new();
    let mut rows = usize::MAX;
    for input in inputs {
        rows = rows.saturating_add(input.len());
        match parts.last_mut().filter(|_| rows <= most) {
            Some(last) => *last += 1,
            None => {
                parts.push(1);
                rows = input.len();
            }
        }
    }
    parts
}

impl Reasoner for LatentChain {
    type Thought = ChainThought;

    fn prefilled_steps(&self) -> usize {
        1
    }

    fn prefill(
        &self,
        prompt: &[u32],
        steps: usize,
        draws: &[Draw],
        _seed: u64,
        perturbation: Perturbation,
    ) -> Result<Vec<ChainThought>> {
        self.begin(prompt, steps, draws, perturbation)
    }

    fn step(
        &self,
        branches: Vec<Branch<ChainThought>>,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<ChainThought>>> {
        self.think(branches, perturbation)
    }

    fn read_out(
        &self,
        thoughts: Vec<ChainThought>,
        max_tokens: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        self.answer(thoughts, max_tokens, perturbation)
    }
}
