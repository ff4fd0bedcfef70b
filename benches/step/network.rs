//! GPT-2 small from the library's operations, as its latent step runs it.

use std::{hint::black_box, iter};

use fathom::{
    DType, Device, Perturb, Result, Tensor, Weight,
    kv::{Layout, Sequence},
    ops::{
        attention::{Heads, Query, attention},
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
    },
};
use fathom_testkit::inputs::Inputs;

const LAYERS: usize = 12;
const WIDTH: usize = 768;
const HIDDEN: usize = 3072;
const HEADS: Heads = Heads { query: 12, kv: 12, dim: 64 };

/// Positions after the prompt, the step's own included.
const SUFFIX: usize = 7;

/// Mean 0 and standard deviation `scale`.
pub(crate) fn random(count: usize, scale: f32) -> Vec<f32> {
    Inputs::new(3).bell(count).into_iter().map(|x| scale * x).collect()
}

/// As GPT-2 is initialised.
pub(crate) fn weight(dtype: DType, k: usize, n: usize) -> Weight {
    let elements = random(k * n, 0.02);
    Weight::from_fn(&Device::Cpu, dtype, k, n, |row, column| elements[row * n + column])
}

struct Affine {
    weight: Weight,
    bias: Vec<f32>,
}

impl Affine {
    fn new(dtype: DType, k: usize, n: usize) -> Self {
        Self { weight: weight(dtype, k, n), bias: random(n, 0.02) }
    }

    fn apply(&self, x: &Tensor, epilogue: Epilogue<'_>, out: &mut Tensor) -> Result<()> {
        linear(x, &self.weight, Some(&self.bias), epilogue, out)
    }
}

struct Block {
    qkv: Affine,
    out: Affine,
    up: Affine,
    down: Affine,
}

/// A step that can be run again and again: it writes keys and values of the same position each time.
pub(crate) struct Step {
    blocks: Vec<Block>,
    /// Weight and bias of every norm.
    norm: (Vec<f32>, Vec<f32>),
    latents: Tensor,
    sequences: Vec<Sequence>,
    queries: Vec<Query>,
    /// Residual stream, normed, fused rows, attention's result, hidden.
    buffers: [Tensor; 5],
}

impl Step {
    pub(crate) fn new(dtype: DType, rows: usize, prompt: usize, shared: bool) -> Result<Self> {
        let layout = Layout { width: WIDTH, dtype, slots: 1 };
        let sequences = if shared {
            let mut root = Sequence::new(&Device::Cpu, layout);
            grow(&mut root, prompt)?;
            root.fork(rows)
        } else {
            let own = |_| {
                let mut sequence = Sequence::new(&Device::Cpu, layout);
                grow(&mut sequence, prompt)?;
                Ok(sequence)
            };
            (0..rows).map(own).collect::<Result<_>>()?
        };
        let mut step = Self {
            blocks: iter::repeat_with(|| Block {
                qkv: Affine::new(dtype, WIDTH, 3 * WIDTH),
                out: Affine::new(dtype, WIDTH, WIDTH),
                up: Affine::new(dtype, WIDTH, HIDDEN),
                down: Affine::new(dtype, HIDDEN, WIDTH),
            })
            .take(LAYERS)
            .collect(),
            norm: (vec![1.0; WIDTH], vec![0.0; WIDTH]),
            latents: Tensor::new(&Device::Cpu, rows, WIDTH, random(rows * WIDTH, 1.0))?,
            sequences,
            queries: (0..rows).map(|sequence| Query { sequence, visible: prompt + SUFFIX }).collect(),
            buffers: std::array::from_fn(|_| Tensor::empty(&Device::Cpu)),
        };
        step.sequences.iter_mut().try_for_each(|sequence| grow(sequence, SUFFIX))?;
        Ok(step)
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        let Self { blocks, norm: (scale, shift), latents, sequences, queries, buffers } = self;
        let [x, normed, qkv, mixed, hidden] = buffers;
        x.reshape(latents.rows(), WIDTH);
        x.data_mut().copy_from_slice(black_box(latents.data()));
        for (layer, block) in blocks.iter().enumerate() {
            layer_norm(x, scale, shift, 1e-5, normed)?;
            block.qkv.apply(normed, Epilogue::None, qkv)?;
            for (row, sequence) in sequences.iter_mut().enumerate() {
                let (key, value) = qkv.row(row)[WIDTH..].split_at(WIDTH);
                let position = sequence.len() - 1;
                sequence.write(layer, position, iter::once((key, value)))?;
            }
            attention(qkv, HEADS, sequences, &[layer], queries, mixed)?;
            block.out.apply(mixed, Epilogue::Residual(Perturb::None), x)?;
            layer_norm(x, scale, shift, 1e-5, normed)?;
            block.up.apply(normed, Epilogue::GeluTanh, hidden)?;
            block.down.apply(hidden, Epilogue::Residual(Perturb::None), x)?;
        }
        layer_norm(x, scale, shift, 1e-5, normed)?;
        black_box(normed.data());
        Ok(())
    }
}

/// Appends random keys and values to all layers.
fn grow(sequence: &mut Sequence, count: usize) -> Result<()> {
    let first = sequence.admit(count);
    let (keys, values) = (random(count * WIDTH, 1.0), random(count * WIDTH, 1.0));
    (0..LAYERS)
        .try_for_each(|layer| sequence.write(layer, first, keys.chunks(WIDTH).zip(values.chunks(WIDTH))))
}
