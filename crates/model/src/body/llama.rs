//! Llama: pre-norm blocks, rotary positions, grouped queries, SwiGLU (spec latenttts §1.4).

use fathom::{
    Perturb, Result as OpResult, Tensor, Weight, kv,
    ops::{
        attention::Heads,
        embedding::embedding,
        linear::{Epilogue, linear},
        perturb::perturb,
        qkv::Projection,
        rms_norm::rms_norm,
        rope::Layout,
    },
    random::Site,
};

use super::{Input, copies};
use crate::{
    config::LlamaConfig,
    error::Result,
    head::accept_duplicate,
    pass::{Disturbance, Run, Stream, Wanted, positions},
    scratch::Scratch,
    weights::Loader,
};

/// Llama's body with its head.
#[derive(Debug)]
pub struct Llama {
    heads: Heads,
    eps: f32,
    /// Radians a position, `[head_dim / 2]`.
    frequencies: Vec<f32>,
    /// `[h, vocabulary]`
    tokens: Weight,
    /// `[h, vocabulary]` where it is not the embedding.
    head: Option<Weight>,
    blocks: Vec<Block>,
    norm: Tensor,
}

#[derive(Debug)]
struct Block {
    norm_1: Tensor,
    qkv: Weight,
    out: Weight,
    norm_2: Tensor,
    gate_up: Weight,
    down: Weight,
}

impl Llama {
    pub(crate) fn load(config: &LlamaConfig, loader: &Loader<'_>) -> Result<Self> {
        let (h, inner) = (config.width, config.inner);
        let heads = Heads { query: config.heads, kv: config.kv_heads, dim: config.head_dim };
        let prefix = loader
            .checkpoint
            .prefix(&["model.", "", "model.model."], "embed_tokens.weight")
            .unwrap_or("model.");
        let block = |i: usize| -> Result<Block> {
            let name = |part: &str| format!("{prefix}layers.{i}.{part}.weight");
            let (q, kv) = (heads.query * heads.dim, heads.kv * heads.dim);
            let projections = [
                (name("self_attn.q_proj"), q),
                (name("self_attn.k_proj"), kv),
                (name("self_attn.v_proj"), kv),
            ];
            let projections = [0, 1, 2].map(|i| (projections[i].0.as_str(), projections[i].1));
            Ok(Block {
                norm_1: loader.vector(&name("input_layernorm"), h)?,
                qkv: loader.side_by_side(&projections, h)?,
                out: loader.linear(&name("self_attn.o_proj"), q, h)?,
                norm_2: loader.vector(&name("post_attention_layernorm"), h)?,
                gate_up: loader.gate_up(&name("mlp.gate_proj"), &name("mlp.up_proj"), h, inner)?,
                down: loader.linear(&name("mlp.down_proj"), inner, h)?,
            })
        };
        let table = format!("{prefix}embed_tokens.weight");
        let tokens = loader.linear(&table, h, config.vocab_size)?;
        let head = if config.tied {
            accept_duplicate(loader.checkpoint, "lm_head.weight", &table)?;
            None
        } else {
            Some(loader.linear("lm_head.weight", h, config.vocab_size)?)
        };
        Ok(Self {
            heads,
            eps: config.norm_eps,
            frequencies: config.frequencies(),
            tokens,
            head,
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
            norm: loader.vector(&format!("{prefix}norm.weight"), h)?,
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
        self.head.as_ref().unwrap_or(&self.tokens)
    }

    pub(crate) fn bytes(&self) -> usize {
        let block = |b: &Block| {
            b.qkv.bytes() + b.out.bytes() + b.gate_up.bytes() + b.down.bytes() + 8 * b.norm_1.width()
        };
        let head = self.head.as_ref().map_or(0, Weight::bytes);
        self.tokens.bytes() + head + self.blocks.iter().map(block).sum::<usize>() + 4 * self.norm.width()
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
        embedding(&self.tokens, &inputs[..rows], 1.0, None, &mut scratch.x)?;
        perturb(&mut scratch.x, disturbance.at(Site::Embedding))?;
        scratch.turn(positions(runs).take(rows), &self.frequencies)?;
        let mut stream = Stream::new(runs, disturbance, wanted, copies)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let Scratch { x, normed, turns, .. } = &mut *scratch;
            rms_norm(x, &block.norm_1, self.eps, normed)?;
            let copies = x.rows() / turns.rows().max(1);
            scratch.repeat_turns(copies)?;
            let last = layer + 1 == self.blocks.len();
            let projection = Projection { weight: &block.qkv, bias: None, heads: self.heads };
            stream.attend(runs, layer, last, projection, Some(Layout::HalfSplit), scratch)?;
            let Scratch { x, normed, mixed, hidden, aside, .. } = &mut *scratch;
            stream.add_branch(Site::Attention(layer as u16), mixed, (&block.out, None), x, aside)?;
            rms_norm(x, &block.norm_2, self.eps, normed)?;
            linear(normed, &block.gate_up, None, Epilogue::SwiGlu, hidden)?;
            stream.add_branch(Site::Mlp(layer as u16), hidden, (&block.down, None), x, aside)?;
        }
        let Scratch { x, state, .. } = scratch;
        rms_norm(x, &self.norm, self.eps, state)?;
        state.repeat(stream.copies)?;
        Ok(state)
    }
}
