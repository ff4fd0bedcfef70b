//! Steps of whole networks, from the library's operations and random weights.

mod layer;

use std::hint::black_box;

use fathom::{
    Perturb, Result, Tensor, Weight,
    kv::{Run, Sequence},
    ops::{
        adapter::adapter,
        arg_max::arg_max,
        attention::Query,
        layer_norm::layer_norm,
        rms_norm::rms_norm,
        rope::{angles, frequency},
    },
};

use crate::harness::{
    data::{Place, trajectories},
    network::{Form, Network},
    suite::Work,
};
use layer::{EPS, Layer, Rows, Scratch};

/// Bytes of layers that have weights of their own; a network with more runs through them again, which its caches are too
/// small to notice.
const DISTINCT: usize = 512 << 20;

/// What a step is asked to do.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) network: &'static Network,
    /// Trajectories.
    pub(crate) rows: usize,
    /// Positions before a trajectory's own; of its own, the step's included.
    pub(crate) lengths: [usize; 2],
    /// Whether the prompt is one for all.
    pub(crate) shared: bool,
    /// Whether the step ends with the arg-max of the head.
    pub(crate) head: bool,
}

impl Shape {
    /// Elements of the weights of one layer.
    fn layer(&self) -> usize {
        let Network { width, hidden, heads, form, .. } = *self.network;
        let up = if form == Form::Gpt2 { hidden } else { 2 * hidden };
        width * heads.fused_width() + heads.query * heads.dim * width + width * up + hidden * width
    }

    /// Weights, and keys and values.
    pub(crate) fn work(&self, place: &Place) -> Work {
        let Shape { network, rows, lengths: [prompt, suffix], shared, head } = *self;
        let Network { width, heads, layers, vocabulary, form, .. } = *network;
        let adapter = if form == Form::Huginn { width * width } else { 0 };
        let weights = layers * self.layer() + adapter + if head { vocabulary * width } else { 0 };
        let prompts = if shared { 1 } else { rows };
        let stored = layers * 2 * heads.kv * heads.dim * (prompts * prompt + rows * suffix);
        let attention = 4 * layers * rows * (prompt + suffix) * heads.query * heads.dim;
        Work {
            dtype: place.dtype,
            flop: 2 * rows * weights + attention,
            bytes: place.dtype.bytes() * (weights + stored),
        }
    }
}

/// A step that can be run again and again: it writes keys and values of the same position each time.
pub(crate) struct Step {
    shape: Shape,
    layers: Vec<Layer>,
    adapter: Option<Adapter>,
    head: Option<Weight>,
    /// Weight and bias of the last norm.
    norm: [Tensor; 2],
    latents: Tensor,
    every: Vec<usize>,
    sequences: Vec<Sequence>,
    queries: Vec<Query>,
    turns: Tensor,
    scratch: Scratch,
    answers: Vec<u32>,
}

struct Adapter {
    weight: Weight,
    /// The embedding's share of the product.
    injected: Tensor,
    state: Tensor,
}

impl Step {
    pub(crate) fn new(place: &Place, shape: Shape) -> Result<Self> {
        let Shape { network, rows, lengths, shared, head } = shape;
        let Network { width, heads, vocabulary, form, .. } = *network;
        let distinct = DISTINCT.div_ceil(shape.layer() * place.dtype.bytes()).min(network.layers);
        let [prompt, suffix] = lengths;
        let sequences = trajectories(place, heads.kv * heads.dim, network.layers, rows, lengths, shared);
        let frequencies: Vec<f32> =
            (0..heads.dim / 2).map(|pair| frequency(10_000.0, 2 * pair, heads.dim)).collect();
        let mut turns = place.empty();
        angles(&vec![prompt + suffix - 1; rows], &frequencies, &mut turns)?;
        let norm = |value| Tensor::vector(&place.device, vec![value; width]);
        Ok(Self {
            shape,
            layers: (0..distinct).map(|_| Layer::new(place, network)).collect::<Result<_>>()?,
            adapter: (form == Form::Huginn).then(|| Adapter {
                weight: place.weight(width, width),
                injected: place.tensor(rows, width),
                state: place.empty(),
            }),
            head: head.then(|| place.weight(width, vocabulary)),
            norm: [norm(1.0)?, norm(0.0)?],
            latents: place.tensor(rows, width),
            every: (0..rows).collect(),
            sequences,
            queries: (0..rows).map(|sequence| Query { sequence, visible: prompt + suffix }).collect(),
            turns,
            scratch: Scratch::new(place),
            answers: Vec::new(),
        })
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        let Self { shape, layers, adapter: entrance, head, norm: [scale, shift], scratch, .. } = self;
        let Network { form, layers: count, .. } = *shape.network;
        let latents = black_box(&self.latents);
        match entrance {
            Some(Adapter { weight, injected, state }) => {
                latents.select(&self.every, state)?;
                adapter(state, weight, injected, Perturb::None, &mut scratch.x)?;
            }
            None => latents.select(&self.every, &mut scratch.x)?,
        }
        let mut runs: Vec<Run<'_>> =
            self.sequences.iter_mut().map(|sequence| Run::revisit(sequence, 1)).collect();
        let mut rows = Rows { runs: &mut runs, queries: &self.queries, turns: &self.turns };
        for (slot, layer) in layers.iter().cycle().take(count).enumerate() {
            layer.forward(shape.network, slot, &mut rows, scratch)?;
        }
        let Scratch { x, normed, .. } = scratch;
        match form {
            Form::Gpt2 => layer_norm(x, scale, shift, EPS, normed)?,
            Form::Llama => rms_norm(x, scale, EPS, normed)?,
            // A recurrence ends with its last block.
            Form::Huginn => {}
        }
        if let Some(head) = head {
            arg_max(normed, head, &mut self.answers)?;
        }
        black_box((normed, &self.answers));
        Ok(())
    }
}
