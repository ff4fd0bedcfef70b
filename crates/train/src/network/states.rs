//! The network under the head of a reward model: the body of a latent chain, or recurrent depth.

use fathom::{Tensor, ops::embedding::Input};
use fathom_model::{
    config::{Config, LlamaConfig},
    pass::Disturbance,
};

use super::{
    Cache, body,
    body::Body,
    depth::{self, Depth},
};
use crate::{
    error::{Error, Result},
    parameters::{Gradients, Parameters, Source},
    segment::Segment,
};

/// What makes a state of every row.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a reward model holds one")]
pub(crate) enum States {
    Chain(Body),
    Depth(Depth),
}

/// What the backward pass of one forward pass needs.
#[derive(Debug)]
pub(crate) enum Saved {
    Chain(body::Saved),
    Depth(Box<depth::Saved>),
}

impl States {
    /// Without a language-model head of its own.
    pub(crate) fn new(config: &Config, parameters: &mut Parameters, source: &mut dyn Source) -> Result<Self> {
        match config {
            Config::Gpt2(_) => Body::new(config, parameters, source).map(Self::Chain),
            Config::Llama(shape) => {
                let headless = Config::Llama(LlamaConfig { tied: true, ..shape.clone() });
                Body::new(&headless, parameters, source).map(Self::Chain)
            }
            Config::Huginn(shape) => Depth::new(shape, parameters, source).map(Self::Depth),
        }
    }

    /// Takes the parameters as they are now.
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        match self {
            Self::Chain(body) => body.pack(parameters),
            Self::Depth(depth) => depth.pack(parameters),
        }
    }

    /// Width h.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Chain(body) => body.width(),
            Self::Depth(depth) => depth.width(),
        }
    }

    /// Room for the keys and values of a batch.
    pub(crate) fn caches(&self, parameters: &Parameters, places: usize) -> Result<Vec<Cache>> {
        match self {
            Self::Chain(body) => body.caches(parameters, places),
            Self::Depth(depth) => depth.caches(parameters, places),
        }
    }

    /// States of every row of a pass.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        segment: &Segment,
        caches: &mut [Cache],
    ) -> Result<(Tensor, Saved)> {
        match self {
            Self::Chain(body) => {
                let none = Disturbance::None;
                let (states, saved) = body.forward(parameters, inputs, segment, &none, caches)?;
                Ok((states, Saved::Chain(saved)))
            }
            Self::Depth(depth) => {
                let (states, saved) = depth.forward(parameters, inputs, segment, caches)?;
                Ok((states, Saved::Depth(Box::new(saved))))
            }
        }
    }

    /// Adds the gradients of all parameters from those of the states of a pass.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        segment: &Segment,
        saved: &Saved,
        dstates: &Tensor,
        caches: &mut [Cache],
        gradients: &mut Gradients,
    ) -> Result<()> {
        match (self, saved) {
            (Self::Chain(body), Saved::Chain(saved)) => {
                let none = Disturbance::None;
                body.backward(parameters, inputs, segment, &none, saved, dstates, caches, gradients)?;
                Ok(())
            }
            (Self::Depth(depth), Saved::Depth(saved)) => {
                depth.backward(parameters, inputs, saved, dstates, caches, gradients)
            }
            _ => Err(Error::Option { option: "states", what: "went through another network".into() }),
        }
    }
}
