//! The networks that a run trains, and the loss of a step, a method a file.

mod coconut;
mod codi;
mod colar;
mod depth;
mod source;

use std::fmt::Debug;

use fathom::{
    Device,
    random::{Stream, key},
};
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, Gpt2Config, SpecialIds},
};

use super::{
    AtDepth, Part,
    method::Method,
    problems::{self, Encoded},
};
use crate::{
    error::{Error, Result},
    objective::{
        chain::{Chain, Dropout},
        codi::Factors,
        recurrence::RecurrentDepth,
    },
    parameters::{Gradients, Parameters},
};

/// A network with the way it learns.
pub(super) trait Learner: Debug {
    /// What it has learnt.
    fn parameters(&self) -> &Parameters;

    /// Changes the parameters.
    fn update(&mut self, change: &mut dyn FnMut(&mut Parameters) -> Result<()>) -> Result<()>;

    /// Whether the optimizer begins anew before step `step` (from 0).
    fn begins_anew(&self, _step: u64) -> bool {
        false
    }

    /// Looks at what it is to learn from.
    ///
    /// # Errors
    /// Problems that it cannot learn from.
    fn prepare(&mut self, _problems: &[Encoded]) -> Result<()> {
        Ok(())
    }

    /// The loss of a step over some of the problems, whose gradients are added.
    fn learn(&mut self, problems: &[Encoded], at: At, gradients: &mut Gradients) -> Result<Loss>;

    /// The losses over all of the problems, which it does not learn from, as step `at` has them.
    fn judge(&self, problems: &[Encoded], at: At) -> Result<Vec<AtDepth>>;
}

/// Where a run stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) seed: u64,
    /// From 0.
    pub(super) step: u64,
    /// Problems a step.
    pub(super) batch: usize,
}

/// A loss with what it was formed over.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) mean: f64,
    /// What it is the sum of, where it is one.
    pub(super) parts: Vec<Part>,
    /// Tokens that went through the network.
    pub(super) tokens: usize,
}

/// The mean loss of some steps, that of its parts, and the tokens of all.
pub(super) fn mean(taken: &[Loss]) -> (f64, Vec<Part>, usize) {
    let share = 1.0 / taken.len() as f64;
    let mut parts = Vec::new();
    taken.iter().for_each(|loss| add(&mut parts, share, &loss.parts));
    let sum = taken.iter().map(|loss| loss.mean).sum::<f64>();
    (sum * share, parts, taken.iter().map(|loss| loss.tokens).sum())
}

/// Adds a share of some parts to their sums.
fn add(sums: &mut Vec<Part>, share: f64, parts: &[Part]) {
    if sums.is_empty() {
        sums.extend(parts.iter().map(|part| Part { loss: 0.0, name: part.name.clone() }));
    }
    sums.iter_mut().zip(parts).for_each(|(sum, part)| sum.loss += share * part.loss);
}

impl At {
    /// Key of the step's draws; `of` tells apart those that would meet.
    fn key(self, of: &[u32]) -> u64 {
        key(self.seed, of, Stream::Training(self.step))
    }

    /// Dropout of the step, where there is any.
    fn dropout(self, p: f32, of: &[u32]) -> Option<Dropout> {
        (p > 0.0).then(|| Dropout { p, key: self.key(of) })
    }

    /// Key of the order of an epoch.
    fn order(self, epoch: u64) -> u64 {
        key(self.seed, &[epoch as u32, (epoch >> 32) as u32], Stream::Order)
    }

    /// The problems of the step.
    fn choose(self, problems: &[Encoded]) -> Vec<&Encoded> {
        let chosen = problems::batch(|epoch| self.order(epoch), problems.len(), self.batch, self.step);
        chosen.into_iter().map(|index| &problems[index]).collect()
    }

    /// The mean over all problems of what `judge` says of a batch of them.
    fn mean(
        self,
        problems: &[Encoded],
        mut judge: impl FnMut(&[&Encoded]) -> Result<Loss>,
    ) -> Result<(f64, Vec<Part>)> {
        let (mut sum, mut parts): (f64, Vec<Part>) = (0.0, Vec::new());
        for batch in problems.chunks(self.batch) {
            let loss = judge(&batch.iter().collect::<Vec<_>>())?;
            let share = batch.len() as f64 / problems.len() as f64;
            sum += share * loss.mean;
            add(&mut parts, share, &loss.parts);
        }
        Ok((sum, parts))
    }
}

/// The learner of a method, which begins with the weights or at random.
///
/// # Errors
/// A method that wants another model; tensors that are missing or of other shapes; no memory on the device.
pub(super) fn new(
    method: &Method,
    config: &Config,
    ids: &SpecialIds,
    (seed, weights): (u64, Option<&Checkpoint>),
    device: &Device,
) -> Result<Box<dyn Learner>> {
    let wrong = |what: &str| Error::Option { option: "method", what: what.into() };
    let mut source = source::Begun::new(seed, weights);
    let mut chain = || Chain::new(config, &mut source, device);
    let end = || ids.latent_end.ok_or_else(|| wrong("wants a token that ends thoughts"));
    Ok(match (method.clone(), config) {
        (
            Method::RecurrentDepth { recurrence, targets, written_steps, packing, validate_at },
            Config::Huginn(shape),
        ) => Box::new(depth::Depth {
            model: RecurrentDepth::new(shape, &mut source, device)?,
            recurrence,
            targets,
            written_steps,
            validate_at,
            packing,
            packer: None,
            state: depth::State { width: shape.width, std: shape.init_std * (shape.width as f32).sqrt() },
        }),
        (Method::Coconut { stages, dropout }, Config::Gpt2(shape)) if !shape.projector => {
            Box::new(coconut::Coconut { latent_end: end()?, chain: chain()?, stages, dropout })
        }
        (
            Method::Codi { thoughts, teacher, distillation, last_step, dropout },
            Config::Gpt2(Gpt2Config { projector: true, .. }),
        ) => {
            let factors = Factors { teacher, student: 1.0, states: distillation };
            let (latent_end, chain) = (end()?, chain()?);
            Box::new(codi::Codi { chain, thoughts, factors, last_step, dropout, latent_end })
        }
        (Method::Colar { speeds, latents, dropout }, Config::Llama(_)) => {
            Box::new(colar::Colar { latent_end: end()?, chain: chain()?, speeds, latents, dropout })
        }
        (Method::RecurrentDepth { .. }, _) => {
            return Err(wrong("recurrent-depth wants a model of that kind"));
        }
        (Method::Coconut { .. }, _) => return Err(wrong("coconut wants a GPT-2 model without a projector")),
        (Method::Codi { .. }, _) => {
            return Err(wrong("codi wants a GPT-2 model whose config.json has \"projector\": true"));
        }
        (Method::Colar { .. }, _) => return Err(wrong("colar wants a Llama model")),
    })
}
