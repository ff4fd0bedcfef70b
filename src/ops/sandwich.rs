//! Blocks with norms before and after attention and MLP (spec huginn §1.4–1.6; arXiv 2502.05171): seven launches a
//! block on a GPU. An eighth is attention's where, in bf16, runs of one row and longer ones go together.

use super::{
    attention::{Heads, Query, attention},
    linear::{Epilogue, linear},
    qkv::{Input, Projection, Rotation, qkv},
    rms_norm::{double_norm, rms_norm_in_place},
};
use crate::{
    DType, Device, Perturb, Result, Tensor, Weight,
    kv::{Run, Slots},
};

/// One block's weights.
#[derive(Debug)]
pub struct Block {
    /// norm_1 to norm_4, `[1, h]` each.
    pub norms: [Tensor; 4],
    /// `[h, (query + 2 · kv heads) · head dimension]`
    pub qkv: Weight,
    /// `[1, columns of qkv]`
    pub bias: Option<Tensor>,
    /// `[query heads · head dimension, h]`
    pub out: Weight,
    /// `[h, 2 · inner]`: gate and up, their columns interleaved.
    pub gate_up: Weight,
    /// `[inner, h]`
    pub down: Weight,
}

impl Block {
    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        let weights = [&self.qkv, &self.out, &self.gate_up, &self.down];
        let bias = self.bias.as_ref().map_or(0, Tensor::width);
        weights.iter().map(|w| w.bytes()).sum::<usize>() + 4 * (bias + 4 * self.norms[0].width())
    }
}

/// Blocks that follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Stack<'a> {
    /// At least one.
    pub blocks: &'a [Block],
    /// How the columns of their projections fall into heads.
    pub heads: Heads,
    /// ε of the norms.
    pub eps: f32,
}

/// What a pass through a stack writes on its way: it keeps its memory.
#[derive(Debug)]
pub struct Scratch {
    normed: Tensor,
    q: Tensor,
    mixed: Tensor,
    hidden: Tensor,
    aside: Tensor,
    queries: Vec<Query>,
}

impl Scratch {
    /// Without memory yet, for weights of `dtype`.
    pub fn new(device: &Device, dtype: DType) -> Self {
        let operand = || Tensor::operand(device, dtype);
        Self {
            normed: operand(),
            q: operand(),
            mixed: operand(),
            hidden: operand(),
            aside: Tensor::empty(device),
            queries: Vec::new(),
        }
    }
}

/// For each block x ← norm_4(mlp(norm_3(y)) + y) with y = norm_2(attn(norm_1(x)) + x), for x `[rows, h]` of all positions of
/// `runs`. Block i writes its keys and values to the first of `slots(i)` and reads of each position the first of them that it
/// has.
///
/// # Errors
/// As the operations it is made of.
pub fn sandwich<'s, S: Into<Slots<'s>>>(
    stack: Stack<'_>,
    x: &mut Tensor,
    rotation: Option<Rotation<'_>>,
    runs: &mut [Run<'_>],
    slots: impl Fn(usize) -> S,
    scratch: &mut Scratch,
) -> Result<()> {
    let Stack { blocks, heads, eps } = stack;
    let Scratch { normed, q, mixed, hidden, aside, queries } = scratch;
    let residual = Epilogue::Residual(Perturb::None);
    queries.clear();
    for (sequence, run) in runs.iter().enumerate() {
        queries.extend(run.positions().map(|position| Query { sequence, visible: position + 1 }));
    }
    for (index, block) in blocks.iter().enumerate() {
        let slots = slots(index).into();
        let [norm_1, norm_2, norm_3, norm_4] = &block.norms;
        let input = match index {
            0 => Input::RmsNorm { x, weight: norm_1, eps, aside: normed },
            _ => Input::Plain(normed),
        };
        let projection = Projection { weight: &block.qkv, bias: block.bias.as_ref(), heads };
        qkv(input, projection, rotation, runs, slots, q)?;
        attention(q, heads, runs, slots, queries, mixed)?;
        linear(mixed, &block.out, None, residual, x)?;
        double_norm(x, [norm_2, norm_3], eps, normed)?;
        linear(normed, &block.gate_up, None, Epilogue::SwiGlu, hidden)?;
        linear(hidden, &block.down, None, residual, x)?;
        match blocks.get(index + 1) {
            Some(next) => double_norm(x, [norm_4, &next.norms[0]], eps, normed)?,
            None => rms_norm_in_place(x, norm_4, eps, aside)?,
        }
    }
    Ok(())
}
