//! Huginn: prelude, adapter, a core block iterated r times, coda (arXiv 2502.05171; spec huginn §1).
//!
//! The network is three passes over ragged rows, each called on its own: whoever schedules iterations, exits or
//! caches stands on top of them.

mod block;
mod cache;
mod exit;
mod reasoner;
mod record;
mod rows;
mod score;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use fathom::{
    Result as OpResult, Tensor, Weight,
    kv::{self, Reads, Slots},
    ops::{
        adapter::adapter,
        attention::Heads,
        embedding::{Input, embedding},
        linear::{Epilogue, linear},
        qkv::Rotation,
        rms_norm::rms_norm,
        rope::{Layout, frequency},
        sandwich::{Block, Stack, sandwich},
    },
    random::{Coordinates, Site, truncated_normals},
};

use rayon::prelude::*;

pub use cache::CachePolicy;
pub(crate) use exit::check_each;
pub use exit::{Criterion, Exit, ExitMonitor};
pub use reasoner::RecurrentThought;
pub use record::Recording;
pub use score::Continuation;

use crate::{
    config::HuginnConfig,
    error::{Error, Result},
    head::accept_duplicate,
    pass::{Disturbance, Run, positions},
    scratch::{Pool, Scratch},
    weights::Loader,
};

/// A recurrent-depth transformer.
#[derive(Debug)]
pub struct Huginn {
    heads: Heads,
    eps: f32,
    context: usize,
    embed_scale: f32,
    state_std: f32,
    frequencies: Vec<f32>,
    /// `[h, vocabulary]`
    tokens: Weight,
    /// `[h, vocabulary]` where it is not the embedding.
    head: Option<Weight>,
    /// Columns 0 … h of the adapter, which read the state.
    adapt_state: Weight,
    /// Columns h … 2h, which read the embedded input.
    adapt_input: Weight,
    prelude: Vec<Block>,
    core: Vec<Block>,
    coda: Vec<Block>,
    norm: Tensor,
    eos: Vec<u32>,
    scratch: Pool,
    prefilled: AtomicUsize,
}

impl Huginn {
    pub(crate) fn load(config: &HuginnConfig, eos: Vec<u32>, loader: &Loader<'_>) -> Result<Self> {
        let h = config.width;
        let heads = Heads { query: config.heads, kv: config.kv_heads, dim: h / config.heads };
        let checkpoint = loader.checkpoint;
        if config.qk_bias && heads.kv != heads.query {
            let what = "qk_bias with fewer key heads than query heads has no published layout".into();
            return Err(Error::Config {
                path: checkpoint.place().into(),
                field: "num_key_value_heads".into(),
                what,
            });
        }
        let blocks = |part: &str, count: usize| -> Result<Vec<Block>> {
            let name = |i| format!("transformer.{part}.{i}");
            (0..count).map(|i| block::load(&name(i), config, heads, loader)).collect()
        };
        let table = "transformer.wte.weight";
        let head = if config.tied {
            accept_duplicate(checkpoint, "lm_head.weight", table)?;
            None
        } else {
            Some(loader.linear("lm_head.weight", h, config.vocab_size)?)
        };
        let adapter = checkpoint.take("transformer.adapter.weight", &[h, 2 * h])?;
        let frequencies = (0..heads.dim / 2).map(|i| frequency(config.rope_base, 2 * i, heads.dim));
        Ok(Self {
            heads,
            eps: config.norm_eps,
            context: config.context,
            embed_scale: config.embed_scale,
            // s_0 ~ √h · TruncNormal(σ), whatever scales the embedding (spec huginn §1.7).
            state_std: config.init_std * (h as f32).sqrt(),
            frequencies: frequencies.collect(),
            tokens: loader.linear(table, h, config.vocab_size)?,
            head,
            adapt_state: loader.pack(h, h, |row, column| adapter.get(column * 2 * h + row))?,
            adapt_input: loader.pack(h, h, |row, column| adapter.get(column * 2 * h + h + row))?,
            prelude: blocks("prelude", config.prelude)?,
            core: blocks("core_block", config.core)?,
            coda: blocks("coda", config.coda)?,
            norm: loader.vector("transformer.ln_f.weight", h)?,
            eos,
            scratch: Pool::new(&loader.device, loader.dtype),
            prefilled: AtomicUsize::new(0),
        })
    }

    /// Width h.
    pub fn width(&self) -> usize {
        self.tokens.k()
    }

    /// Longest sequence.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Tokens that end a text.
    pub fn eos(&self) -> &[u32] {
        &self.eos
    }

    /// Blocks of one core iteration.
    pub fn core_blocks(&self) -> usize {
        self.core.len()
    }

    /// How keys and values are stored; a GPU takes memory for the prelude, the coda and one iteration at first.
    pub fn layout(&self) -> kv::Layout {
        let slots = self.prelude.len() + self.coda.len() + self.core.len();
        kv::Layout { width: self.heads.kv * self.heads.dim, dtype: self.tokens.dtype(), slots }
    }

    /// An empty sequence.
    pub fn sequence(&self) -> kv::Sequence {
        kv::Sequence::new(self.head().device(), self.layout())
    }

    /// Scratch for its passes.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self.head().device(), self.head().dtype())
    }

    /// Bytes of keys and values a position that was iterated `steps` times keeps under `policy`.
    pub fn kv_bytes(&self, steps: usize, policy: CachePolicy) -> usize {
        let slots = self.prelude.len() + self.coda.len() + policy.iterations(steps) * self.core.len();
        2 * slots * self.layout().width * self.layout().dtype.bytes()
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        let blocks =
            [&self.prelude, &self.core, &self.coda].into_iter().flatten().map(Block::bytes).sum::<usize>();
        let head = self.head.as_ref().map_or(0, Weight::bytes);
        self.tokens.bytes()
            + head
            + self.adapt_state.bytes()
            + self.adapt_input.bytes()
            + blocks
            + 4 * self.norm.width()
    }

    /// The language-model head `[h, vocabulary]`.
    pub fn head(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.tokens)
    }

    /// Prompts computed so far: what a test counts to see that trajectories share one.
    pub fn prompts_prefilled(&self) -> usize {
        self.prefilled.load(Ordering::Relaxed)
    }

    /// e: the embedded input of every row, `[rows, h]`; not normalised further.
    ///
    /// # Errors
    /// A token outside the vocabulary.
    pub fn prelude(&self, ids: &[u32], runs: &mut [Run<'_>], scratch: &mut Scratch) -> OpResult<Tensor> {
        let inputs: Vec<Input<'_>> = ids.iter().map(|&id| Input::Token(id)).collect();
        self.embed(&inputs, runs, scratch)
    }

    /// As [`Huginn::prelude`], of tokens that may have been chosen on the device.
    fn embed(&self, inputs: &[Input<'_>], runs: &mut [Run<'_>], scratch: &mut Scratch) -> OpResult<Tensor> {
        embedding(&self.tokens, inputs, self.embed_scale, None, &mut scratch.x)?;
        self.blocks(&self.prelude, runs, scratch, |layer, slots| slots.push(layer))?;
        Ok(scratch.x.clone())
    }

    /// W_e·e, which every iteration adds: computed once a token.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn inject(&self, embedded: &Tensor) -> OpResult<Tensor> {
        let mut injected = Tensor::empty(embedded.device());
        linear(embedded, &self.adapt_input, None, Epilogue::None, &mut injected)?;
        Ok(injected)
    }

    /// Iteration `t` (from 0) of the core block: s_t becomes s_{t+1}, all `[rows, h]`. The disturbance acts on s_t before
    /// the adapter.
    ///
    /// # Errors
    /// Rows of another width or number.
    pub fn iterate(
        &self,
        state: &mut Tensor,
        injected: &Tensor,
        runs: &mut [Run<'_>],
        t: usize,
        policy: CachePolicy,
        disturbance: &Disturbance<'_>,
        scratch: &mut Scratch,
    ) -> OpResult<()> {
        if policy == CachePolicy::AlwaysLastM4 {
            let ts = vec![t; runs.len()];
            return self.iterate_each(state, injected, runs, &ts, policy, disturbance, scratch);
        }
        adapter(state, &self.adapt_state, injected, disturbance.at(Site::Latent), &mut scratch.x)?;
        self.blocks(&self.core, runs, scratch, |layer, slots| {
            slots.extend(policy.reads(t).map(|iteration| self.core_slot(iteration, layer)));
        })?;
        std::mem::swap(state, &mut scratch.x);
        Ok(())
    }

    /// As [`Huginn::iterate`], where each run stands at an iteration of its own.
    ///
    /// # Errors
    /// As [`Huginn::iterate`]; another number of iterations than of runs.
    pub fn iterate_each(
        &self,
        state: &mut Tensor,
        injected: &Tensor,
        runs: &mut [Run<'_>],
        ts: &[usize],
        policy: CachePolicy,
        disturbance: &Disturbance<'_>,
        scratch: &mut Scratch,
    ) -> OpResult<()> {
        if ts.len() != runs.len() {
            let what = format!("{} iterations for {} runs", ts.len(), runs.len());
            return Err(fathom::Error::Shape { operation: "iterate", what });
        }
        if policy != CachePolicy::AlwaysLastM4
            && let Some(&t) = ts.first()
            && ts.iter().all(|&other| other == t)
        {
            return self.iterate(state, injected, runs, t, policy, disturbance, scratch);
        }
        adapter(state, &self.adapt_state, injected, disturbance.at(Site::Latent), &mut scratch.x)?;
        let reads: Vec<Vec<Reads>> = (0..self.core.len())
            .map(|layer| runs.iter().zip(ts).map(|(run, &t)| self.reads(run, t, layer, policy)).collect())
            .collect();
        self.stack(&self.core, runs, scratch, |layer| Slots::Each(&reads[layer]))?;
        std::mem::swap(state, &mut scratch.x);
        Ok(())
    }

    /// The slot of a core layer at an iteration.
    fn core_slot(&self, iteration: usize, layer: usize) -> usize {
        self.prelude.len() + self.coda.len() + iteration * self.core.len() + layer
    }

    /// What a core layer writes and reads at iteration `t` of a run.
    fn reads(&self, run: &Run<'_>, t: usize, layer: usize, policy: CachePolicy) -> Reads {
        let slot = |iteration| self.core_slot(iteration, layer);
        let written = slot(policy.writes(t));
        let sequence = run.as_ref();
        let scattered =
            policy == CachePolicy::AlwaysLastM4 && !sequence.holds(written, run.positions().start);
        let slots = if scattered {
            let deepest = (sequence.slots().saturating_sub(slot(0)) / self.core.len()).max(t);
            (0..=deepest).rev().map(slot).collect()
        } else {
            policy.reads(t).map(slot).collect()
        };
        Reads { written, slots }
    }

    /// ln_f(s): what the published model returns as latent states.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn latent_states(&self, state: &Tensor) -> OpResult<Tensor> {
        let mut out = Tensor::empty(state.device());
        rms_norm(state, &self.norm, self.eps, &mut out)?;
        Ok(out)
    }

    /// The coda on ln_f(s), through ln_f once more: what the head reads, `[rows, h]`.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn coda(&self, state: &Tensor, runs: &mut [Run<'_>], scratch: &mut Scratch) -> OpResult<Tensor> {
        rms_norm(state, &self.norm, self.eps, &mut scratch.x)?;
        self.blocks(&self.coda, runs, scratch, |layer, slots| slots.push(self.prelude.len() + layer))?;
        self.latent_states(&scratch.x)
    }

    /// Blocks on the stream in `scratch`; `slots` appends those of a layer, the one written first. Layers have as many each.
    fn blocks(
        &self,
        blocks: &[Block],
        runs: &mut [Run<'_>],
        scratch: &mut Scratch,
        slots: impl Fn(usize, &mut Vec<usize>),
    ) -> OpResult<()> {
        let mut all = std::mem::take(&mut scratch.slots);
        all.clear();
        (0..blocks.len()).for_each(|layer| slots(layer, &mut all));
        let each = all.len() / blocks.len().max(1);
        let outcome =
            self.stack(blocks, runs, scratch, |layer| Slots::All(&all[layer * each..(layer + 1) * each]));
        scratch.slots = all;
        outcome
    }

    /// As [`Huginn::blocks`], by the slots of a layer.
    fn stack<'s>(
        &self,
        blocks: &[Block],
        runs: &mut [Run<'_>],
        scratch: &mut Scratch,
        slots: impl Fn(usize) -> Slots<'s>,
    ) -> OpResult<()> {
        scratch.turn(positions(runs), &self.frequencies)?;
        let Scratch { x, turns, sandwich: inner, .. } = scratch;
        let stack = Stack { blocks, heads: self.heads, eps: self.eps };
        let rotation = Some(Rotation { angles: turns, layout: Layout::Interleaved });
        sandwich(stack, x, rotation, runs, slots, inner)
    }

    /// s_0 of every row, like-init: σ·√h times a normal truncated at ±3 (spec huginn §1.7). Rows of the same coordinates,
    /// as trajectories have where nothing resamples it, are drawn once.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn initial_state(&self, rows: &[Coordinates]) -> OpResult<Tensor> {
        let (width, device) = (self.width(), self.tokens.device());
        let (mut places, mut distinct) = (HashMap::new(), Vec::new());
        let mut place = |at: Coordinates| {
            *places.entry(at).or_insert_with(|| {
                distinct.push(at);
                distinct.len() - 1
            })
        };
        let chosen: Vec<usize> = rows.iter().map(|&at| place(at)).collect();
        let mut drawn = vec![0.0; distinct.len() * width];
        drawn.par_chunks_mut(width).zip(&distinct).for_each(|(row, &at)| {
            truncated_normals(row, at, Site::State);
            row.iter_mut().for_each(|x| *x *= self.state_std);
        });
        let drawn = Tensor::new(device, distinct.len(), width, drawn)?;
        if distinct.len() == rows.len() {
            return Ok(drawn);
        }
        let mut state = Tensor::empty(device);
        drawn.select(&chosen, &mut state)?;
        Ok(state)
    }
}
