//! The transformer of a latent chain: GPT-2's or Llama's.

use fathom::{
    Perturb, Tensor, Weight,
    ops::{
        activation::Activation,
        attention::Heads,
        embedding::{Input, Positions, embedding, embedding_backward},
        perturb::perturb,
        rope::{Layout, angles},
    },
    random::Site,
};
use fathom_model::{
    config::{Config, Gpt2Config, LlamaConfig},
    pass::Disturbance,
};

use super::{
    Cache,
    attention::Attention,
    linear::{Linear, Stored},
    mlp::Mlp,
    norm::Norm,
    pre_norm::{self, Block},
    scatter,
};
use crate::{
    error::{Error, Result},
    parameters::{Gradients, Id, Init, Parameters, Source},
    segment::Segment,
};

/// Embedding, blocks, final norm and head.
#[derive(Debug)]
pub(crate) struct Body {
    /// `[vocabulary, h]`
    tokens: Id,
    /// As the embedding reads it, where the head is another matrix.
    table: Option<Weight>,
    /// `[context, h]`, with what the embedding reads.
    positions: Option<(Id, Weight)>,
    blocks: Vec<Block>,
    norm: Norm,
    head: Linear,
    heads: Heads,
    /// Radians a position, where queries and keys turn.
    frequencies: Vec<f32>,
    width: usize,
}

/// What the backward pass of one forward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    angles: Option<Tensor>,
    blocks: Vec<pre_norm::Saved>,
    /// Before the final norm.
    x: Tensor,
}

impl Saved {
    /// The output of every block but the last, of all rows.
    pub(crate) fn inner(&self) -> impl Iterator<Item = &Tensor> {
        self.blocks.iter().skip(1).map(|block| &block.x)
    }
}

/// Gradients of the outputs of all blocks but the last at some rows, which an objective reads beside the states.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inner<'a> {
    pub(crate) rows: &'a [usize],
    /// A block each; none where nothing is read.
    pub(crate) blocks: &'a [Tensor],
}

impl Body {
    pub(crate) fn new(config: &Config, parameters: &mut Parameters, source: &mut dyn Source) -> Result<Self> {
        match config {
            Config::Gpt2(config) => Self::gpt2(config, parameters, source),
            Config::Llama(config) => Self::llama(config, parameters, source),
            Config::Huginn(_) => {
                Err(Error::Option { option: "model", what: "recurrent depth has no chain".into() })
            }
        }
    }

    /// As published: normal with σ 0.02, output projections divided by √(2 · layers), biases 0 (transformers' GPT-2).
    fn gpt2(config: &Gpt2Config, parameters: &mut Parameters, source: &mut dyn Source) -> Result<Self> {
        const STD: f32 = 0.02;
        let (h, inner) = (config.width, config.inner);
        let names = ["transformer.wte.weight", "wte.weight", "model.transformer.wte.weight"];
        let prefix = source.name(&names).strip_suffix("wte.weight").unwrap_or_default();
        let of_output = STD / (2.0 * config.layers as f32).sqrt();
        let mut add = |name: &str, shape: &[usize], init| {
            parameters.add(source, &format!("{prefix}{name}"), shape, init)
        };
        let tokens = add("wte.weight", &[config.vocab_size, h], Init::Normal(STD))?;
        let positions = add("wpe.weight", &[config.context, h], Init::Normal(STD))?;
        let mut ids = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let mut pair = |name: &str, shape: &[usize], init| -> Result<[Id; 2]> {
                let weight = add(&format!("h.{layer}.{name}.weight"), shape, init)?;
                let n = shape[shape.len() - 1];
                Ok([weight, add(&format!("h.{layer}.{name}.bias"), &[n], Init::Zeros)?])
            };
            ids.push([
                pair("ln_1", &[h], Init::Ones)?,
                pair("attn.c_attn", &[h, 3 * h], Init::Normal(STD))?,
                pair("attn.c_proj", &[h, h], Init::Normal(of_output))?,
                pair("ln_2", &[h], Init::Ones)?,
                pair("mlp.c_fc", &[h, inner], Init::Normal(STD))?,
                pair("mlp.c_proj", &[inner, h], Init::Normal(of_output))?,
            ]);
        }
        let norm = [add("ln_f.weight", &[h], Init::Ones)?, add("ln_f.bias", &[h], Init::Zeros)?];

        let parameters = &*parameters;
        let heads = Heads { query: config.heads, kv: config.heads, dim: h / config.heads };
        let norm_of = |[weight, bias]: [Id; 2]| Norm { weight, bias: Some(bias), eps: config.norm_eps };
        let linear = |[weight, bias]: [Id; 2]| Linear::new(parameters, Stored::Inputs, weight, Some(bias));
        let block = |[norm_1, qkv, out, norm_2, up, down]: [[Id; 2]; 6]| -> Result<Block> {
            Ok(Block {
                norm_1: norm_of(norm_1),
                attention: Attention { heads, projection: linear(qkv)?, layout: None },
                out: linear(out)?,
                norm_2: norm_of(norm_2),
                mlp: Mlp { up: linear(up)?, activation: Activation::GeluTanh, down: linear(down)? },
            })
        };
        Ok(Self {
            tokens,
            table: None,
            positions: Some((positions, Weight::of_columns(&parameters[positions])?)),
            blocks: ids.into_iter().map(block).collect::<Result<_>>()?,
            norm: norm_of(norm),
            head: Linear::new(parameters, Stored::Outputs, tokens, None)?,
            heads,
            frequencies: Vec::new(),
            width: h,
        })
    }

    /// As transformers' Llama: normal with σ 0.02.
    fn llama(config: &LlamaConfig, parameters: &mut Parameters, source: &mut dyn Source) -> Result<Self> {
        const STD: Init = Init::Normal(0.02);
        let (h, inner, vocabulary) = (config.width, config.inner, config.vocab_size);
        let heads = Heads { query: config.heads, kv: config.kv_heads, dim: config.head_dim };
        let [of_q, of_kv] = [heads.query, heads.kv].map(|heads| heads * config.head_dim);
        let names = ["model.embed_tokens.weight", "embed_tokens.weight", "model.model.embed_tokens.weight"];
        let prefix = source.name(&names).strip_suffix("embed_tokens.weight").unwrap_or_default();
        let mut add = |name: &str, shape: &[usize], init| {
            parameters.add(source, &format!("{prefix}{name}.weight"), shape, init)
        };
        let tokens = add("embed_tokens", &[vocabulary, h], STD)?;
        let mut ids = Vec::with_capacity(config.layers);
        for layer in 0..config.layers {
            let mut of =
                |name: &str, shape: &[usize], init| add(&format!("layers.{layer}.{name}"), shape, init);
            ids.push((
                [of("input_layernorm", &[h], Init::Ones)?, of("post_attention_layernorm", &[h], Init::Ones)?],
                vec![
                    of("self_attn.q_proj", &[of_q, h], STD)?,
                    of("self_attn.k_proj", &[of_kv, h], STD)?,
                    of("self_attn.v_proj", &[of_kv, h], STD)?,
                ],
                of("self_attn.o_proj", &[h, of_q], STD)?,
                vec![of("mlp.gate_proj", &[inner, h], STD)?, of("mlp.up_proj", &[inner, h], STD)?],
                of("mlp.down_proj", &[h, inner], STD)?,
            ));
        }
        let norm = add("norm", &[h], Init::Ones)?;
        let head = match config.tied {
            true => tokens,
            false => parameters.add(source, "lm_head.weight", &[vocabulary, h], STD)?,
        };

        let parameters = &*parameters;
        let norm_of = |weight| Norm { weight, bias: None, eps: config.norm_eps };
        let linear = |weight| Linear::new(parameters, Stored::Outputs, weight, None);
        // Gate and up side by side, as SwiGLU reads them.
        let pairs: Vec<_> = (0..inner).flat_map(|row| [(0, row), (1, row)]).collect();
        let block = |([norm_1, norm_2], qkv, out, up, down): ([Id; 2], _, _, _, _)| -> Result<Block> {
            let parts = |parts, order| Linear::of_parts(parameters, Stored::Outputs, parts, order, None);
            let layout = Some(Layout::HalfSplit);
            Ok(Block {
                norm_1: norm_of(norm_1),
                attention: Attention { heads, projection: parts(qkv, None)?, layout },
                out: linear(out)?,
                norm_2: norm_of(norm_2),
                mlp: Mlp {
                    up: parts(up, Some(pairs.clone()))?,
                    activation: Activation::SwiGlu,
                    down: linear(down)?,
                },
            })
        };
        Ok(Self {
            tokens,
            table: (head != tokens).then(|| Weight::of_columns(&parameters[tokens])).transpose()?,
            positions: None,
            blocks: ids.into_iter().map(block).collect::<Result<_>>()?,
            norm: norm_of(norm),
            head: linear(head)?,
            heads,
            frequencies: config.frequencies(),
            width: h,
        })
    }

    /// Takes the parameters as they are now.
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        self.blocks.iter_mut().try_for_each(|block| block.pack(parameters))?;
        if let Some(table) = &mut self.table {
            table.assign_columns(&parameters[self.tokens])?;
        }
        if let Some((id, table)) = &mut self.positions {
            table.assign_columns(&parameters[*id])?;
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

    /// The embeddings of tokens as the checkpoint holds them, `[tokens, h]`.
    pub(crate) fn embeddings(&self, parameters: &Parameters, ids: &[u32]) -> Result<Tensor> {
        let rows: Vec<usize> = ids.iter().map(|&id| id as usize).collect();
        let mut out = Tensor::empty(parameters.device());
        parameters[self.tokens].select(&rows, &mut out)?;
        Ok(out)
    }

    /// Adds `scale` times the gradients of embeddings, `[tokens, h]`, to the table's.
    pub(crate) fn embeddings_backward(
        &self,
        ids: &[u32],
        dy: &Tensor,
        scale: f32,
        gradients: &mut Gradients,
    ) -> Result<()> {
        Ok(embedding_backward(ids, dy, scale, &mut gradients[self.tokens])?)
    }

    /// Room for the keys and values of a batch, a cache a layer.
    pub(crate) fn caches(&self, parameters: &Parameters, places: usize) -> Result<Vec<Cache>> {
        let width = self.heads.kv * self.heads.dim;
        self.blocks.iter().map(|_| Cache::new(parameters.device(), places, width)).collect()
    }

    /// States after the final norm of every row of a pass.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        segment: &Segment,
        disturbance: &Disturbance<'_>,
        caches: &mut [Cache],
    ) -> Result<(Tensor, Saved)> {
        let device = parameters.device();
        let (mut x, mut states) = (Tensor::empty(device), Tensor::empty(device));
        let of_rows = &segment.positions;
        let positions = self.positions.as_ref().map(|(_, table)| Positions { table, of_rows });
        embedding(self.table.as_ref().unwrap_or(self.head.weight()), inputs, 1.0, positions, &mut x)?;
        perturb(&mut x, disturbance.at(Site::Embedding))?;
        let turns = self.turns(segment, &x)?;
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for ((layer, block), cache) in self.blocks.iter().enumerate().zip(caches) {
            let drops = drops(disturbance, layer);
            blocks.push(block.forward(parameters, &mut x, turns.as_ref(), drops, segment, cache)?);
        }
        self.norm.forward(parameters, &x, &mut states)?;
        Ok((states, Saved { angles: turns, blocks, x }))
    }

    /// Gradients of what went in, row by row, from those of the states; tokens add theirs to the embedding's.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        segment: &Segment,
        disturbance: &Disturbance<'_>,
        saved: &Saved,
        dstates: &Tensor,
        caches: &mut [Cache],
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let read = (dstates, Inner::default());
        self.backward_of_all(parameters, inputs, segment, disturbance, saved, read, caches, gradients)
    }

    /// As [`Body::backward`], where the outputs of inner blocks were read as well.
    pub(crate) fn backward_of_all(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        segment: &Segment,
        disturbance: &Disturbance<'_>,
        saved: &Saved,
        (dstates, inner): (&Tensor, Inner<'_>),
        caches: &mut [Cache],
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let mut dx = Tensor::empty(parameters.device());
        self.norm.backward(parameters, &saved.x, dstates, gradients, &mut dx)?;
        let blocks = self.blocks.iter().zip(&saved.blocks).zip(caches).enumerate();
        for (layer, ((block, saved_block), cache)) in blocks.rev() {
            let (drops, turns) = (drops(disturbance, layer), saved.angles.as_ref());
            block.backward(parameters, saved_block, &mut dx, turns, drops, segment, cache, gradients)?;
            if let Some(read) = layer.checked_sub(1).and_then(|before| inner.blocks.get(before)) {
                scatter(&mut dx, inner.rows, read)?;
            }
        }
        perturb(&mut dx, disturbance.at(Site::Embedding))?;
        if let Some((table, _)) = self.positions {
            embedding_backward(&segment.positions, &dx, 1.0, &mut gradients[table])?;
        }
        let token = |(row, input): (usize, &Input<'_>)| match *input {
            Input::Token(id) => Some((row, id)),
            _ => None,
        };
        let (rows, ids): (Vec<usize>, Vec<u32>) = inputs.iter().enumerate().filter_map(token).unzip();
        let mut of_tokens = Tensor::empty(parameters.device());
        dx.select(&rows, &mut of_tokens)?;
        embedding_backward(&ids, &of_tokens, 1.0, &mut gradients[self.tokens])?;
        Ok(dx)
    }

    fn turns(&self, segment: &Segment, x: &Tensor) -> Result<Option<Tensor>> {
        if self.frequencies.is_empty() {
            return Ok(None);
        }
        let positions: Vec<usize> = segment.positions.iter().map(|&position| position as usize).collect();
        let mut turns = Tensor::empty(x.device());
        angles(&positions, &self.frequencies, &mut turns)?;
        Ok(Some(turns))
    }
}

fn drops<'a>(disturbance: &'a Disturbance<'_>, layer: usize) -> [Perturb<'a>; 2] {
    [Site::Attention, Site::Mlp].map(|site| disturbance.at(site(layer as u16)))
}
