//! φ: from the state after the final norm to the next input (spec latenttts §1.1–1.4).

use fathom::{
    Result as OpResult, Tensor, Weight,
    ops::{
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        scale::scale,
    },
};

use crate::{
    config::{Config, Gpt2Config},
    error::Result,
    weights::Loader,
};

/// PyTorch's default epsilon of the LayerNorm inside both learned maps.
const NORM_EPS: f32 = 1e-5;

/// What is fed back as the next thought.
#[derive(Debug)]
pub enum Feedback {
    /// COCONUT: the state itself.
    Identity,
    /// CODI: LN(W₂·GELU(W₁·h)).
    Projector(Projector),
    /// CoLaR: mean(LN(W₂·GELU(W₁·h)))·std.
    LatentHead {
        /// Everything up to the norm.
        features: Projector,
        /// `[width, h]`
        mean: Weight,
        /// `[h]`
        bias: Tensor,
        /// Scale of embeddings the head was trained on.
        std: f32,
    },
}

/// Linear, GELU (erf), Linear, LayerNorm.
#[derive(Debug)]
pub struct Projector {
    first: (Weight, Tensor),
    second: (Weight, Tensor),
    norm: (Tensor, Tensor),
}

impl Feedback {
    /// The map that the tensors and `config` speak of.
    pub(crate) fn load(config: &Config, loader: &Loader<'_>) -> Result<Self> {
        match config {
            Config::Gpt2(config) => {
                let inner = Projector::width(config, loader);
                let projector =
                    inner.map(|inner| Projector::load_codi(loader, config.width, inner)).transpose()?;
                Ok(projector.map_or(Feedback::Identity, Feedback::Projector))
            }
            Config::Llama(config) => {
                let stored =
                    loader.checkpoint.shape("lt_head.fc.0.weight").and_then(|shape| shape.first().copied());
                let inner = config.latent_width.or(stored).unwrap_or(config.width);
                let part = |name: &str, k, n| -> Result<(Weight, Tensor)> {
                    let name = format!("lt_head.{name}");
                    Ok((
                        loader.linear(&format!("{name}.weight"), k, n)?,
                        loader.vector(&format!("{name}.bias"), n)?,
                    ))
                };
                let features = Projector {
                    first: part("fc.0", config.width, inner)?,
                    second: part("fc.2", inner, inner)?,
                    norm: (
                        loader.vector("lt_head.fc.3.weight", inner)?,
                        loader.vector("lt_head.fc.3.bias", inner)?,
                    ),
                };
                let (mean, bias) = part("mean", inner, config.width)?;
                // The stochastic branch of the original head, which the published port leaves out (§9.15).
                for name in ["lt_head.log_std.weight", "lt_head.log_std.bias"] {
                    if loader.checkpoint.contains(name) {
                        loader.checkpoint.skip(name)?;
                    }
                }
                Ok(Feedback::LatentHead { features, mean, bias, std: config.latent_embedding_std })
            }
            Config::Huginn(_) => Ok(Feedback::Identity),
        }
    }

    /// φ of every row `[rows, h]`.
    pub fn apply(&self, state: Tensor) -> OpResult<Tensor> {
        match self {
            Feedback::Identity => Ok(state),
            Feedback::Projector(projector) => projector.apply(&state),
            Feedback::LatentHead { features, mean, bias, std } => {
                let mut latent = Tensor::empty(state.device());
                linear(&features.apply(&state)?, mean, Some(bias), Epilogue::None, &mut latent)?;
                scale(&mut latent, *std)?;
                Ok(latent)
            }
        }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        match self {
            Feedback::Identity => 0,
            Feedback::Projector(projector) => projector.bytes(),
            Feedback::LatentHead { features, mean, bias, .. } => {
                features.bytes() + mean.bytes() + 4 * bias.width()
            }
        }
    }
}

impl Projector {
    /// Hidden width of CODI's projector, if the config or the tensors speak of one: as the config says, else as
    /// stored, else as published for GPT-2, where it is h.
    pub(crate) fn width(config: &Gpt2Config, loader: &Loader<'_>) -> Option<usize> {
        let stored =
            ["projector.1.weight", "prj.1.weight"].iter().find_map(|name| loader.checkpoint.shape(name));
        let stored = stored.and_then(|shape| shape.first().copied());
        config.projector_width.or(stored).or(config.projector.then_some(config.width))
    }

    /// CODI's projector; upstream writes `prj` for `projector` and `ln` for its last member.
    pub(crate) fn load_codi(loader: &Loader<'_>, width: usize, inner: usize) -> Result<Self> {
        let names = |members: [&str; 2], part: &str| {
            [
                format!("projector.{}.{part}", members[0]),
                format!("prj.{}.{part}", members[0]),
                format!("prj.{}.{part}", members[1]),
            ]
        };
        let take = |members: [&str; 2], part: &str, shape: &[usize]| {
            let names = names(members, part);
            loader.checkpoint.take_any(&names.each_ref().map(String::as_str), shape)
        };
        let affine = |member: &'static str, k: usize, n: usize| -> Result<(Weight, Tensor)> {
            let weight = take([member; 2], "weight", &[n, k])?;
            Ok((loader.transposed(&weight, k, n)?, loader.hold(take([member; 2], "bias", &[n])?.to_vec())?))
        };
        Ok(Self {
            first: affine("1", width, inner)?,
            second: affine("3", inner, width)?,
            norm: (
                loader.hold(take(["4", "ln"], "weight", &[width])?.to_vec())?,
                loader.hold(take(["4", "ln"], "bias", &[width])?.to_vec())?,
            ),
        })
    }

    pub(crate) fn apply(&self, x: &Tensor) -> OpResult<Tensor> {
        let [mut inner, mut second, mut out] = [0; 3].map(|_| Tensor::empty(x.device()));
        linear(x, &self.first.0, Some(&self.first.1), Epilogue::GeluErf, &mut inner)?;
        linear(&inner, &self.second.0, Some(&self.second.1), Epilogue::None, &mut second)?;
        layer_norm(&second, &self.norm.0, &self.norm.1, NORM_EPS, &mut out)?;
        Ok(out)
    }

    pub(crate) fn bytes(&self) -> usize {
        let affine = |(weight, bias): &(Weight, Tensor)| weight.bytes() + 4 * bias.width();
        affine(&self.first) + affine(&self.second) + 8 * self.norm.0.width()
    }
}
