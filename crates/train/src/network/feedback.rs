//! φ, from the state after the final norm to the next thought, and what reward models project with (spec latenttts §1.2–1.4).

use fathom::{
    Tensor,
    ops::{activation::Activation, linear::Epilogue, scale::scale},
};
use fathom_model::config::{Config, Gpt2Config, LlamaConfig};

use super::{
    linear::{Linear, Stored},
    mlp::{self, Mlp},
    norm::Norm,
};
use crate::{
    error::Result,
    parameters::{Gradients, Init, Parameters, Source},
};

/// PyTorch's default epsilon of the LayerNorm inside both learned maps.
const EPS: f32 = 1e-5;

/// LN(W₂·GELU(W₁·h)).
#[derive(Debug)]
pub(crate) struct Projector {
    mlp: Mlp,
    norm: Norm,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    mlp: mlp::Saved,
    /// Before the norm.
    second: Tensor,
}

impl Projector {
    /// The members `first`, `second` and `norm` of a module, of widths in, between and out.
    fn new(
        parameters: &mut Parameters,
        source: &mut dyn Source,
        [first, second, norm]: [&str; 3],
        [width, inner, out]: [usize; 3],
    ) -> Result<Self> {
        let mut affine = |name: &str, n: usize, k: usize| -> Result<Linear> {
            let [weight, bias] = uniform(parameters, source, name, n, k)?;
            Linear::new(parameters, Stored::Outputs, weight, Some(bias))
        };
        let (up, down) = (affine(first, inner, width)?, affine(second, out, inner)?);
        let weight = parameters.add(source, &format!("{norm}.weight"), &[out], Init::Ones)?;
        let bias = parameters.add(source, &format!("{norm}.bias"), &[out], Init::Zeros)?;
        Ok(Self {
            mlp: Mlp { up, activation: Activation::GeluErf, down },
            norm: Norm { weight, bias: Some(bias), eps: EPS },
        })
    }

    /// CODI's.
    pub(crate) fn codi(
        config: &Gpt2Config,
        inner: usize,
        parameters: &mut Parameters,
        source: &mut dyn Source,
    ) -> Result<Self> {
        let name = |member: &[&'static str]| source.name(member).strip_suffix(".weight").unwrap_or_default();
        let first = name(&["projector.1.weight", "prj.1.weight"]);
        let second = name(&["projector.3.weight", "prj.3.weight"]);
        let norm = name(&["projector.4.weight", "prj.4.weight", "prj.ln.weight"]);
        Self::new(parameters, source, [first, second, norm], [config.width, inner, config.width])
    }

    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        self.mlp.up.pack(parameters)?;
        self.mlp.down.pack(parameters)
    }

    pub(crate) fn forward(&self, parameters: &Parameters, x: &Tensor) -> Result<(Tensor, Saved)> {
        let [mut second, mut out] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        let mlp = self.mlp.forward(x)?;
        self.mlp.down.forward(&mlp.hidden, Epilogue::None, &mut second)?;
        self.norm.forward(parameters, &second, &mut out)?;
        Ok((out, Saved { mlp, second }))
    }

    /// The gradient of x.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        saved: &Saved,
        dout: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let [mut dsecond, mut dx] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        self.norm.backward(parameters, &saved.second, dout, gradients, &mut dsecond)?;
        self.mlp.backward(x, &saved.mlp, &dsecond, gradients, &mut dx)?;
        Ok(dx)
    }
}

/// A linear layer that begins as PyTorch's: matrix and bias uniform within 1/√k, here normal of the same variance.
fn uniform(
    parameters: &mut Parameters,
    source: &mut dyn Source,
    name: &str,
    n: usize,
    k: usize,
) -> Result<[crate::parameters::Id; 2]> {
    let init = Init::Normal((3.0 * k as f32).sqrt().recip());
    Ok([
        parameters.add(source, &format!("{name}.weight"), &[n, k], init)?,
        parameters.add(source, &format!("{name}.bias"), &[n], init)?,
    ])
}

/// What is fed back as the next thought.
#[derive(Debug)]
pub(crate) enum Feedback {
    /// COCONUT: the state itself.
    Identity,
    /// CODI's projector.
    Projector(Box<Projector>),
    /// CoLaR's latent head: mean(features(h))·std.
    LatentHead { features: Box<Projector>, mean: Box<Linear>, std: f32 },
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) enum SavedFeedback {
    Identity,
    Projector(Saved),
    LatentHead(Tensor, Saved),
}

impl Feedback {
    pub(crate) fn new(config: &Config, parameters: &mut Parameters, source: &mut dyn Source) -> Result<Self> {
        match config {
            Config::Gpt2(config) if config.projector => {
                let inner = config.projector_width.unwrap_or(config.width);
                Ok(Self::Projector(Box::new(Projector::codi(config, inner, parameters, source)?)))
            }
            Config::Llama(config) => Self::latent_head(config, parameters, source),
            Config::Gpt2(_) | Config::Huginn(_) => Ok(Self::Identity),
        }
    }

    fn latent_head(
        config: &LlamaConfig,
        parameters: &mut Parameters,
        source: &mut dyn Source,
    ) -> Result<Self> {
        let (h, inner) = (config.width, config.latent_width.unwrap_or(config.width));
        let members = ["lt_head.fc.0", "lt_head.fc.2", "lt_head.fc.3"];
        let features = Projector::new(parameters, source, members, [h, inner, inner])?;
        let [weight, bias] = uniform(parameters, source, "lt_head.mean", h, inner)?;
        let mean = Linear::new(parameters, Stored::Outputs, weight, Some(bias))?;
        let (features, mean) = (Box::new(features), Box::new(mean));
        Ok(Self::LatentHead { features, mean, std: config.latent_embedding_std })
    }

    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        match self {
            Self::Identity => Ok(()),
            Self::Projector(projector) => projector.pack(parameters),
            Self::LatentHead { features, mean, .. } => {
                features.pack(parameters)?;
                mean.pack(parameters)
            }
        }
    }

    /// What the latent head's thoughts are scaled by; nothing for other forms.
    pub(crate) fn std(&self) -> Option<f32> {
        match self {
            Self::LatentHead { std, .. } => Some(*std),
            Self::Identity | Self::Projector(_) => None,
        }
    }

    /// Thoughts of states.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        states: &Tensor,
    ) -> Result<(Tensor, SavedFeedback)> {
        match self {
            Self::Identity => Ok((states.clone(), SavedFeedback::Identity)),
            Self::Projector(projector) => {
                let (out, saved) = projector.forward(parameters, states)?;
                Ok((out, SavedFeedback::Projector(saved)))
            }
            Self::LatentHead { features, mean, std } => {
                let (inner, saved) = features.forward(parameters, states)?;
                let mut out = Tensor::empty(states.device());
                mean.forward(&inner, Epilogue::None, &mut out)?;
                scale(&mut out, *std)?;
                Ok((out, SavedFeedback::LatentHead(inner, saved)))
            }
        }
    }

    /// The gradient of states from that of their thoughts.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        states: &Tensor,
        saved: &SavedFeedback,
        mut dout: Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        match (self, saved) {
            (Self::Projector(projector), SavedFeedback::Projector(saved)) => {
                projector.backward(parameters, states, saved, &dout, gradients)
            }
            (Self::LatentHead { features, mean, std }, SavedFeedback::LatentHead(inner, saved)) => {
                let mut dinner = Tensor::empty(states.device());
                scale(&mut dout, *std)?;
                mean.backward(inner, &dout, gradients, &mut dinner)?;
                features.backward(parameters, states, saved, &dinner, gradients)
            }
            _ => Ok(dout),
        }
    }
}
