//! Recurrent depth: prelude, adapter, core block and coda over parameters that change (spec huginn §1, §4).

use fathom::{
    Perturb, Tensor, Weight,
    ops::{
        activation::Activation,
        add::add,
        attention::Heads,
        embedding::{Input, embedding, embedding_backward},
        linear::{Epilogue, linear, linear_backward_weight},
        rope::{Layout, angles, frequency},
    },
};
use fathom_model::config::HuginnConfig;

use super::{
    Cache,
    attention::Attention,
    linear::{Linear, Stored},
    mlp::Mlp,
    norm::Norm,
    sandwich::{self, Block, Pass, back_through, through},
};
use crate::{
    error::Result,
    parameters::{Gradients, Id, Init, Parameters, Source},
    segment::Segment,
};

/// Layers whose σ the out projections are divided by the root of, twice over (spec huginn §4.6).
const EFFECTIVE_LAYERS: f32 = 132.0;

/// A recurrent-depth transformer.
#[derive(Debug)]
pub(crate) struct Huginn {
    pub(super) tokens: Id,
    table: Option<Weight>,
    /// `[h, 2h]`: columns that read the state, then those that read the embedded input.
    adapter: Id,
    /// W_s and W_e, and back.
    halves: [Half; 2],
    pub(super) prelude: Vec<Block>,
    pub(super) core: Vec<Block>,
    pub(super) coda: Vec<Block>,
    pub(super) norm: Norm,
    head: Linear,
    heads: Heads,
    frequencies: Vec<f32>,
    pub(super) embed_scale: f32,
    width: usize,
}

#[derive(Debug)]
struct Half {
    forward: Weight,
    backward: Weight,
}

/// What the backward pass of a stack of blocks needs.
#[derive(Debug)]
pub(crate) struct Saved {
    blocks: Vec<sandwich::Saved>,
    caches: Vec<Cache>,
}

/// What the backward pass of the coda needs.
#[derive(Debug)]
pub(crate) struct SavedCoda {
    state: Tensor,
    stack: Saved,
    /// Before the last norm.
    x: Tensor,
}

impl Huginn {
    /// Takase initialisation: σ² = 2/(5h), out projections σ/√(2 · 132); norms 1, biases of queries and keys 0.
    pub(crate) fn new(
        config: &HuginnConfig,
        parameters: &mut Parameters,
        source: &mut dyn Source,
    ) -> Result<Self> {
        let (h, inner) = (config.width, config.inner);
        let heads = Heads { query: config.heads, kv: config.kv_heads, dim: h / config.heads };
        let std = (2.0 / (5.0 * h as f32)).sqrt();
        let init = Init::Truncated(std);
        let of_output = Init::Truncated(std / (2.0 * EFFECTIVE_LAYERS).sqrt());
        let mut add = |name: &str, shape: &[usize], init| {
            parameters.add(source, &format!("transformer.{name}"), shape, init)
        };
        let tokens = add("wte.weight", &[config.vocab_size, h], init)?;
        let adapter = add("adapter.weight", &[h, 2 * h], init)?;
        let mut stack = |part: &str, count: usize| -> Result<Vec<Ids>> {
            let block = |i: usize| -> Result<Ids> {
                let mut of =
                    |name: &str, shape: &[usize], init| add(&format!("{part}.{i}.{name}"), shape, init);
                let shape = [2, 1, heads.query, heads.dim];
                Ok(Ids {
                    norms: [
                        of("norm_1.weight", &[h], Init::Ones)?,
                        of("norm_2.weight", &[h], Init::Ones)?,
                        of("norm_3.weight", &[h], Init::Ones)?,
                        of("norm_4.weight", &[h], Init::Ones)?,
                    ],
                    qkv: of("attn.Wqkv.weight", &[heads.fused_width(), h], init)?,
                    bias: config.qk_bias.then(|| of("attn.qk_bias", &shape, Init::Zeros)).transpose()?,
                    out: of("attn.proj.weight", &[h, heads.query * heads.dim], of_output)?,
                    up: of("mlp.fc.weight", &[2 * inner, h], init)?,
                    down: of("mlp.proj.weight", &[h, inner], of_output)?,
                })
            };
            (0..count).map(block).collect()
        };
        let (prelude, core, coda) = (
            stack("prelude", config.prelude)?,
            stack("core_block", config.core)?,
            stack("coda", config.coda)?,
        );
        let norm = add("ln_f.weight", &[h], Init::Ones)?;
        let head = match config.tied {
            true => tokens,
            false => parameters.add(source, "lm_head.weight", &[config.vocab_size, h], init)?,
        };

        let parameters = &*parameters;
        let norm_of = |weight| Norm { weight, bias: None, eps: config.norm_eps };
        // Gate is the first half of the rows, up the second.
        let pairs: Vec<_> = (0..inner).flat_map(|row| [(0, row), (0, inner + row)]).collect();
        let block = |ids: &Ids| -> Result<Block> {
            let linear = |weight| Linear::new(parameters, Stored::Outputs, weight, None);
            Ok(Block {
                norms: ids.norms.map(norm_of),
                attention: Attention {
                    heads,
                    projection: Linear::new(parameters, Stored::Outputs, ids.qkv, ids.bias)?,
                    layout: Some(Layout::Interleaved),
                },
                out: linear(ids.out)?,
                mlp: Mlp {
                    up: Linear::of_parts(
                        parameters,
                        Stored::Outputs,
                        vec![ids.up],
                        Some(pairs.clone()),
                        None,
                    )?,
                    activation: Activation::SwiGlu,
                    down: linear(ids.down)?,
                },
            })
        };
        let blocks = |ids: &[Ids]| ids.iter().map(block).collect::<Result<Vec<_>>>();
        let halves = halves(&parameters[adapter])?;
        let half = |half: &Tensor| -> Result<Half> {
            Ok(Half { forward: Weight::of_columns(half)?, backward: Weight::of_rows(half)? })
        };
        Ok(Self {
            tokens,
            table: (head != tokens).then(|| Weight::of_columns(&parameters[tokens])).transpose()?,
            adapter,
            halves: [half(&halves[0])?, half(&halves[1])?],
            prelude: blocks(&prelude)?,
            core: blocks(&core)?,
            coda: blocks(&coda)?,
            norm: norm_of(norm),
            head: Linear::new(parameters, Stored::Outputs, head, None)?,
            heads,
            frequencies: (0..heads.dim / 2).map(|i| frequency(config.rope_base, 2 * i, heads.dim)).collect(),
            embed_scale: config.embed_scale,
            width: h,
        })
    }

    /// Takes the parameters as they are now.
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        let blocks = self.prelude.iter_mut().chain(&mut self.core).chain(&mut self.coda);
        blocks.into_iter().try_for_each(|block| block.pack(parameters))?;
        if let Some(table) = &mut self.table {
            table.assign_columns(&parameters[self.tokens])?;
        }
        for (half, matrix) in self.halves.iter_mut().zip(halves(&parameters[self.adapter])?) {
            half.forward.assign_columns(&matrix)?;
            half.backward.assign_rows(&matrix)?;
        }
        self.head.pack(parameters)
    }

    /// Width h.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The language-model head.
    pub(crate) fn head(&self) -> &Linear {
        &self.head
    }

    /// Angles of the rows of a pass.
    pub(crate) fn pass(&self, parameters: &Parameters, segment: Segment) -> Result<Pass> {
        let positions: Vec<usize> = segment.positions.iter().map(|&position| position as usize).collect();
        let mut turns = Tensor::empty(parameters.device());
        angles(&positions, &self.frequencies, &mut turns)?;
        Ok(Pass { segment, angles: turns })
    }

    /// e of every row.
    pub(crate) fn prelude(
        &self,
        parameters: &Parameters,
        ids: &[u32],
        pass: &Pass,
    ) -> Result<(Tensor, Saved)> {
        let inputs: Vec<Input<'_>> = ids.iter().map(|&id| Input::Token(id)).collect();
        let x = self.embed(&inputs)?;
        self.stack(&self.prelude, parameters, x, pass)
    }

    /// What enters the prelude: scaled embeddings of tokens, other rows as they are.
    pub(super) fn embed(&self, inputs: &[Input<'_>]) -> Result<Tensor> {
        let table = self.table.as_ref().unwrap_or(self.head.weight());
        let mut x = Tensor::empty(table.device());
        embedding(table, inputs, self.embed_scale, None, &mut x)?;
        Ok(x)
    }

    /// Adds the prelude's and the embedding's gradients from that of e.
    pub(crate) fn prelude_backward(
        &self,
        parameters: &Parameters,
        ids: &[u32],
        pass: &Pass,
        saved: Saved,
        mut de: Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        self.stack_backward(&self.prelude, parameters, pass, saved, &mut de, gradients)?;
        Ok(embedding_backward(ids, &de, self.embed_scale, &mut gradients[self.tokens])?)
    }

    /// W_e·e, which every iteration adds.
    pub(crate) fn inject(&self, embedded: &Tensor) -> Result<Tensor> {
        let mut injected = Tensor::empty(embedded.device());
        linear(embedded, &self.halves[1].forward, None, Epilogue::None, &mut injected)?;
        Ok(injected)
    }

    /// s_{t+1} from s_t.
    pub(crate) fn iterate(
        &self,
        parameters: &Parameters,
        state: &Tensor,
        injected: &Tensor,
        pass: &Pass,
    ) -> Result<(Tensor, Saved)> {
        let x = self.adapt(state, injected)?;
        self.stack(&self.core, parameters, x, pass)
    }

    /// As [`Huginn::iterate`], where nothing goes back.
    pub(crate) fn advance(
        &self,
        parameters: &Parameters,
        state: &Tensor,
        injected: &Tensor,
        pass: &Pass,
    ) -> Result<Tensor> {
        let mut x = self.adapt(state, injected)?;
        let width = self.heads.kv * self.heads.dim;
        let mut cache = Cache::new(parameters.device(), pass.segment.rows(), width)?;
        for block in &self.core {
            block.pass(parameters, &mut x, &pass.angles, &pass.segment, &mut cache)?;
        }
        Ok(x)
    }

    /// W_s·s + W_e·e.
    pub(super) fn adapt(&self, state: &Tensor, injected: &Tensor) -> Result<Tensor> {
        let mut x = injected.clone();
        linear(state, &self.halves[0].forward, None, Epilogue::Residual(Perturb::None), &mut x)?;
        Ok(x)
    }

    /// One iteration backwards: `ds`, the gradient of s_{t+1}, becomes that of s_t; that of W_e·e is added to `dinjected`, and
    /// those of core and W_s to the gradients (`dhalf`, `[h, h]`, for the latter).
    pub(crate) fn iterate_backward(
        &self,
        parameters: &Parameters,
        state: &Tensor,
        saved: Saved,
        pass: &Pass,
        ds: &mut Tensor,
        [dinjected, dhalf]: [&mut Tensor; 2],
        gradients: &mut Gradients,
    ) -> Result<()> {
        self.stack_backward(&self.core, parameters, pass, saved, ds, gradients)?;
        self.adapt_backward(state, ds, [dinjected, dhalf])
    }

    /// W_s·s + W_e·e backwards: `ds`, its gradient, becomes that of s.
    pub(super) fn adapt_backward(
        &self,
        state: &Tensor,
        ds: &mut Tensor,
        [dinjected, dhalf]: [&mut Tensor; 2],
    ) -> Result<()> {
        add(dinjected, ds)?;
        linear_backward_weight(state, ds, dhalf)?;
        let dx = std::mem::replace(ds, Tensor::empty(state.device()));
        Ok(linear(&dx, &self.halves[0].backward, None, Epilogue::None, ds)?)
    }

    /// The gradient of e from that of W_e·e; adds the adapter's, of which `dhalf` is the part of W_s.
    pub(crate) fn inject_backward(
        &self,
        embedded: &Tensor,
        dinjected: &Tensor,
        dhalf: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let h = self.width;
        let mut of_input = Tensor::zeros(embedded.device(), h, h)?;
        linear_backward_weight(embedded, dinjected, &mut of_input)?;
        let mut whole = Tensor::empty(embedded.device());
        whole.reshape(h, 2 * h)?;
        whole.put_columns(0, dhalf)?;
        whole.put_columns(h, &of_input)?;
        add(&mut gradients[self.adapter], &whole)?;
        let mut de = Tensor::empty(embedded.device());
        linear(dinjected, &self.halves[1].backward, None, Epilogue::None, &mut de)?;
        Ok(de)
    }

    /// The head's input from the last state: ln_f, coda, ln_f.
    pub(crate) fn coda(
        &self,
        parameters: &Parameters,
        state: Tensor,
        pass: &Pass,
    ) -> Result<(Tensor, SavedCoda)> {
        let (mut normed, mut out) = (Tensor::empty(state.device()), Tensor::empty(state.device()));
        self.norm.forward(parameters, &state, &mut normed)?;
        let (x, stack) = self.stack(&self.coda, parameters, normed, pass)?;
        self.norm.forward(parameters, &x, &mut out)?;
        Ok((out, SavedCoda { state, stack, x }))
    }

    /// The gradient of the last state from that of the head's input.
    pub(crate) fn coda_backward(
        &self,
        parameters: &Parameters,
        pass: &Pass,
        saved: SavedCoda,
        dout: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let (mut dx, mut dstate) = (Tensor::empty(dout.device()), Tensor::empty(dout.device()));
        self.norm.backward(parameters, &saved.x, dout, gradients, &mut dx)?;
        self.stack_backward(&self.coda, parameters, pass, saved.stack, &mut dx, gradients)?;
        self.norm.backward(parameters, &saved.state, &dx, gradients, &mut dstate)?;
        Ok(dstate)
    }

    fn stack(
        &self,
        blocks: &[Block],
        parameters: &Parameters,
        x: Tensor,
        pass: &Pass,
    ) -> Result<(Tensor, Saved)> {
        let mut caches = self.caches(parameters, blocks.len(), pass.segment.rows())?;
        let (x, blocks) = through(blocks, parameters, x, pass, &mut caches)?;
        Ok((x, Saved { blocks, caches }))
    }

    fn stack_backward(
        &self,
        blocks: &[Block],
        parameters: &Parameters,
        pass: &Pass,
        mut saved: Saved,
        dx: &mut Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        back_through(blocks, parameters, pass, &saved.blocks, &mut saved.caches, dx, gradients)
    }

    /// Room for the keys and values of `places` positions in so many blocks.
    pub(super) fn caches(&self, parameters: &Parameters, blocks: usize, places: usize) -> Result<Vec<Cache>> {
        let width = self.heads.kv * self.heads.dim;
        (0..blocks).map(|_| Cache::new(parameters.device(), places, width)).collect()
    }
}

/// The parameters of one block.
struct Ids {
    norms: [Id; 4],
    qkv: Id,
    bias: Option<Id>,
    out: Id,
    up: Id,
    down: Id,
}

/// The columns of the adapter that read the state, and those that read the embedded input, each `[h, h]`.
fn halves(adapter: &Tensor) -> Result<[Tensor; 2]> {
    let h = adapter.rows();
    let mut halves = [Tensor::empty(adapter.device()), Tensor::empty(adapter.device())];
    adapter.columns(0..h, &mut halves[0])?;
    adapter.columns(h..2 * h, &mut halves[1])?;
    Ok(halves)
}
