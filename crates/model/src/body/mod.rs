//! Transformer bodies that latent chain-of-thought runs on.

mod gpt2;
mod llama;

use fathom::{Device, Result as OpResult, Tensor, Weight, kv};

pub use fathom::ops::embedding::Input;

pub use gpt2::Gpt2;
pub use llama::Llama;

use crate::{
    config::Config,
    error::{Error, Result},
    pass::{Disturbance, Run, Wanted, check},
    scratch::Scratch,
    weights::Loader,
};

/// GPT-2 or Llama.
#[derive(Debug)]
pub enum Body {
    /// COCONUT, CODI.
    Gpt2(Gpt2),
    /// CoLaR.
    Llama(Llama),
}

impl Body {
    /// The body that `config` describes.
    pub(crate) fn load(config: &Config, loader: &Loader<'_>) -> Result<Self> {
        match config {
            Config::Gpt2(config) => Gpt2::load(config, loader).map(Body::Gpt2),
            Config::Llama(config) => Llama::load(config, loader).map(Body::Llama),
            Config::Huginn(_) => Err(Error::Config {
                path: loader.checkpoint.place().into(),
                field: "model_type".into(),
                what: "recurrent depth has no latent chain-of-thought body".into(),
            }),
        }
    }

    /// Width h.
    pub fn width(&self) -> usize {
        self.head().k()
    }

    /// How its keys and values are stored.
    pub fn layout(&self) -> kv::Layout {
        match self {
            Body::Gpt2(body) => body.layout(),
            Body::Llama(body) => body.layout(),
        }
    }

    /// An empty sequence.
    pub fn sequence(&self) -> kv::Sequence {
        kv::Sequence::new(self.head().device(), self.layout())
    }

    /// Scratch for its passes.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self.head().device(), self.head().dtype())
    }

    /// Bytes of keys and values a position.
    pub fn kv_bytes(&self) -> usize {
        let layers = match self {
            Body::Gpt2(body) => body.layers(),
            Body::Llama(body) => body.layers(),
        };
        2 * layers * self.layout().width * self.layout().dtype.bytes()
    }

    /// The language-model head `[h, vocabulary]`.
    pub fn head(&self) -> &Weight {
        match self {
            Body::Gpt2(body) => body.head(),
            Body::Llama(body) => body.head(),
        }
    }

    /// State after the final norm of the wanted rows, `[rows, h]`: what the head reads and what is fed back. It stands in
    /// `scratch` until the next pass.
    ///
    /// # Errors
    /// A token outside the vocabulary, a latent of another width, a position outside the context; inputs or coordinates that
    /// are not as many as positions; a run without any, or recorded perturbations, where the last rows alone are wanted.
    pub fn forward<'s>(
        &self,
        inputs: &[Input<'_>],
        runs: &mut [Run<'_>],
        disturbance: &Disturbance<'_>,
        wanted: Wanted,
        scratch: &'s mut Scratch,
    ) -> OpResult<&'s mut Tensor> {
        check(inputs.len(), runs, disturbance, wanted)?;
        match self {
            Body::Gpt2(body) => body.forward(inputs, runs, disturbance, wanted, scratch),
            Body::Llama(body) => body.forward(inputs, runs, disturbance, wanted, scratch),
        }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Body::Gpt2(body) => body.bytes(),
            Body::Llama(body) => body.bytes(),
        }
    }
}

/// How many runs one stands for: all of them where each begins its sequence with the same tokens, so that their rows
/// are the same until something perturbs them. A GPU's epilogues write every run's keys and values, so there it is one.
fn copies(device: &Device, inputs: &[Input<'_>], runs: &[Run<'_>]) -> usize {
    let token = |input: &Input<'_>| if let Input::Token(id) = input { Some(*id) } else { None };
    let Some(first) = runs.first().filter(|first| first.positions().start == 0 && first.count() > 1) else {
        return 1;
    };
    let prompt = &inputs[..first.count()];
    let alike = runs.iter().all(|run| run.positions() == first.positions())
        && inputs.chunks(prompt.len()).all(|other| other.iter().map(token).eq(prompt.iter().map(token)))
        && prompt.iter().all(|input| token(input).is_some());
    if alike && *device == Device::Cpu { runs.len() } else { 1 }
}
