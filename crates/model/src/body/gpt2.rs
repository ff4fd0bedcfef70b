//! GPT-2: pre-norm blocks, learned positions, GELU (spec latenttts §1.2).

use fathom::{
    Perturb, Result as OpResult, Tensor, Weight, kv,
    ops::{
        attention::Heads,
        embedding::{Positions, embedding},
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        perturb::perturb,
        qkv::Projection,
    },
    random::Site,
};

use super::{Input, copies};
use crate::{
    config::Gpt2Config,
    error::Result,
    head::accept_duplicate,
    pass::{Disturbance, Run, Stream, Wanted, positions},
    scratch::Scratch,
    weights::Loader,
};

/// GPT-2's body with its tied head.
#[derive(Debug)]
pub struct Gpt2 {
    heads: Heads,
    eps: f32,
    /// `[h, vocabulary]`: embedding and head in one.
    tokens: Weight,
    /// `[h, context]`
    positions: Weight,
    blocks: Vec<Block>,
    norm: Norm,
}

#[derive(Debug)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
}

/// A linear layer with its bias.
#[derive(Debug)]
struct Affine {
    weight: Weight,
    bias: Tensor,
}

#[derive(Debug)]
struct Block {
    norm_1: Norm,
    qkv: Affine,
    out: Affine,
    norm_2: Norm,
    up: Affine,
    down: Affine,
}

impl Gpt2 {
    pub(crate) fn load(config: &Gpt2Config, loader: &Loader<'_>) -> Result<Self> {
        let (h, inner) = (config.width, config.inner);
        let prefix = loader.checkpoint.prefix(&["transformer.", "", "model.transformer."], "wte.weight");
        let prefix = prefix.unwrap_or("transformer.");
        let norm = |name: &str| -> Result<Norm> {
            Ok(Norm {
                weight: loader.vector(&format!("{prefix}{name}.weight"), h)?,
                bias: loader.vector(&format!("{prefix}{name}.bias"), h)?,
            })
        };
        let affine = |name: &str, k, n| -> Result<Affine> {
            Ok(Affine {
                weight: loader.conv1d(&format!("{prefix}{name}.weight"), k, n)?,
                bias: loader.vector(&format!("{prefix}{name}.bias"), n)?,
            })
        };
        let block = |i: usize| -> Result<Block> {
            Ok(Block {
                norm_1: norm(&format!("h.{i}.ln_1"))?,
                qkv: affine(&format!("h.{i}.attn.c_attn"), h, 3 * h)?,
                out: affine(&format!("h.{i}.attn.c_proj"), h, h)?,
                norm_2: norm(&format!("h.{i}.ln_2"))?,
                up: affine(&format!("h.{i}.mlp.c_fc"), h, inner)?,
                down: affine(&format!("h.{i}.mlp.c_proj"), inner, h)?,
            })
        };
        let wte = format!("{prefix}wte.weight");
        let tokens = loader.linear(&wte, h, config.vocab_size)?;
        accept_duplicate(loader.checkpoint, "lm_head.weight", &wte)?;
        Ok(Self {
            heads: Heads { query: config.heads, kv: config.heads, dim: h / config.heads },
            eps: config.norm_eps,
            tokens,
            positions: loader.linear(&format!("{prefix}wpe.weight"), h, config.context)?,
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
            norm: norm("ln_f")?,
        })
    }

    pub(crate) fn layout(&self) -> kv::Layout {
        let slots = self.blocks.len();
        kv::Layout { width: self.heads.kv * self.heads.dim, dtype: self.tokens.dtype(), slots }
    }

    pub(crate) fn layers(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn head(&self) -> &Weight {
        &self.tokens
    }

    pub(crate) fn bytes(&self) -> usize {
        let affine = |a: &Affine| a.weight.bytes() + 4 * a.bias.width();
        let block = |b: &Block| {
            affine(&b.qkv) + affine(&b.out) + affine(&b.up) + affine(&b.down) + 16 * b.norm_1.bias.width()
        };
        self.tokens.bytes()
            + self.positions.bytes()
            + self.blocks.iter().map(block).sum::<usize>()
            + 8 * self.norm.bias.width()
    }

    pub(crate) fn forward<'s>(
        &self,
        inputs: &[Input<'_>],
        runs: &mut [Run<'_>],
        disturbance: &Disturbance<'_>,
        wanted: Wanted,
        scratch: &'s mut Scratch,
    ) -> OpResult<&'s mut Tensor> {
        let perturbed_embedding = !matches!(disturbance.at(Site::Embedding), Perturb::None);
        let copies = if perturbed_embedding { 1 } else { copies(self.tokens.device(), inputs, runs) };
        let rows = inputs.len() / copies;
        scratch.ids.clear();
        scratch.ids.extend(positions(runs).take(rows).map(|position| position as u32));
        let positions = Positions { table: &self.positions, of_rows: &scratch.ids };
        embedding(&self.tokens, &inputs[..rows], 1.0, Some(positions), &mut scratch.x)?;
        perturb(&mut scratch.x, disturbance.at(Site::Embedding))?;
        let mut stream = Stream::new(runs, disturbance, wanted, copies)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            self.normalise(&scratch.x, &block.norm_1, &mut scratch.normed)?;
            let last = layer + 1 == self.blocks.len();
            let projection =
                Projection { weight: &block.qkv.weight, bias: Some(&block.qkv.bias), heads: self.heads };
            stream.attend(runs, layer, last, projection, None, scratch)?;
            let Scratch { x, normed, mixed, hidden, aside, .. } = &mut *scratch;
            stream.add_branch(Site::Attention(layer as u16), mixed, block.out.parts(), x, aside)?;
            self.normalise(x, &block.norm_2, normed)?;
            block.up.apply(normed, Epilogue::GeluTanh, hidden)?;
            stream.add_branch(Site::Mlp(layer as u16), hidden, block.down.parts(), x, aside)?;
        }
        let Scratch { x, state, .. } = scratch;
        self.normalise(x, &self.norm, state)?;
        state.repeat(stream.copies)?;
        Ok(state)
    }

    fn normalise(&self, x: &Tensor, norm: &Norm, out: &mut Tensor) -> OpResult<()> {
        layer_norm(x, &norm.weight, &norm.bias, self.eps, out)
    }
}

impl Affine {
    fn parts(&self) -> (&Weight, Option<&Tensor>) {
        (&self.weight, Some(&self.bias))
    }

    fn apply(&self, x: &Tensor, epilogue: Epilogue<'_>, out: &mut Tensor) -> OpResult<()> {
        linear(x, &self.weight, Some(&self.bias), epilogue, out)
    }
}
