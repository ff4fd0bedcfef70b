//! Steps of whole networks, from the library's operations and random weights.

mod layer;
mod shape;

use std::{hint::black_box, sync::Arc};

use fathom::{
    Perturb, Result, Tensor, Tokens, Weight,
    kv::{Run, Sequence},
    ops::{
        adapter::adapter,
        arg_max::arg_max,
        attention::Query,
        layer_norm::layer_norm,
        qkv::Rotation,
        rms_norm::rms_norm,
        sandwich::{self, Block, Stack, sandwich},
    },
};

use crate::harness::{
    data::{Place, block, trajectories},
    network::{Form, Network},
};
use layer::{EPS, Layer, Rows, Scratch};
pub(crate) use shape::Shape;

/// A network's weights.
pub(crate) struct Weights {
    network: &'static Network,
    layers: Layers,
    /// Weight and bias of the norms.
    norm: [Tensor; 2],
    head: Option<Weight>,
}

enum Layers {
    Plain(Vec<Layer>),
    Core { adapter: Weight, blocks: Vec<Block> },
}

impl Weights {
    pub(crate) fn new(place: &Place, network: &'static Network) -> Result<Self> {
        let Network { width, layers, vocabulary, form, .. } = *network;
        let norm = |value| Tensor::vector(&place.device, vec![value; width]);
        let (layers, head) = match form {
            Form::Huginn => {
                let blocks = (0..layers).map(|_| block(place, network)).collect();
                (Layers::Core { adapter: place.weight(width, width), blocks }, None)
            }
            _ => {
                let layers = (0..layers).map(|_| Layer::new(place, network)).collect();
                (Layers::Plain(layers), Some(place.weight(width, vocabulary)))
            }
        };
        Ok(Self { network, layers, norm: [norm(1.0)?, norm(0.0)?], head })
    }
}

/// A step that can be run again and again: it writes keys and values of the same position each time.
pub(crate) struct Step {
    weights: Arc<Weights>,
    shape: Shape,
    latents: Tensor,
    every: Vec<usize>,
    /// The embedding's share of the adapter's product.
    injected: Tensor,
    sequences: Vec<Sequence>,
    queries: Vec<Query>,
    slots: Vec<usize>,
    turns: Tensor,
    state: Tensor,
    scratch: Scratch,
    core: sandwich::Scratch,
    answers: Tokens,
}

impl Step {
    pub(crate) fn new(place: &Place, weights: Arc<Weights>, shape: Shape) -> Result<Self> {
        let Shape { network, rows, lengths, shared, .. } = shape;
        let Network { width, heads, layers, .. } = *network;
        let [prompt, suffix] = lengths;
        Ok(Self {
            weights,
            shape,
            latents: place.tensor(rows, width),
            every: (0..rows).collect(),
            injected: place.tensor(rows, width),
            sequences: trajectories(place, heads.kv * heads.dim, layers, rows, lengths, shared),
            queries: (0..rows).map(|sequence| Query { sequence, visible: prompt + suffix }).collect(),
            slots: (0..layers).collect(),
            turns: place.turns(rows, prompt + suffix - 1, heads.dim),
            state: place.empty(),
            scratch: Scratch::new(place),
            core: sandwich::Scratch::new(&place.device, place.dtype),
            answers: Tokens::empty(&place.device),
        })
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        let Self { shape, queries, slots, turns, state, scratch, core, answers, .. } = self;
        let Weights { network, layers, norm, head } = &*self.weights;
        let latents = black_box(&self.latents);
        let rotation = network.form.rotation().map(|layout| Rotation { angles: turns, layout });
        let mut runs: Vec<Run<'_>> = self
            .sequences
            .iter_mut()
            .map(|sequence| Run::revisit(sequence, 1).expect("a position"))
            .collect();
        match layers {
            Layers::Core { adapter: weight, blocks } => {
                let Scratch { x, .. } = scratch;
                latents.select(&self.every, state)?;
                adapter(state, weight, &self.injected, Perturb::None, x)?;
                let stack = Stack { blocks, heads: network.heads, eps: EPS };
                sandwich(stack, x, rotation, &mut runs, |index| &slots[index..=index], core)?;
            }
            Layers::Plain(layers) => {
                latents.select(&self.every, &mut scratch.x)?;
                let mut rows = Rows { runs: &mut runs, queries, rotation };
                for (slot, layer) in layers.iter().enumerate() {
                    layer.forward(network, norm, slot, &mut rows, scratch)?;
                }
                let ([scale, shift], Scratch { x, normed, .. }) = (norm, &mut *scratch);
                match network.form {
                    Form::Gpt2 => layer_norm(x, scale, shift, EPS, normed)?,
                    _ => rms_norm(x, scale, EPS, normed)?,
                }
                if let Some(head) = head.as_ref().filter(|_| shape.head) {
                    arg_max(normed, head, answers)?;
                }
            }
        }
        black_box((&scratch.x, answers));
        Ok(())
    }
}
