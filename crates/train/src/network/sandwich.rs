//! Sandwich blocks (spec huginn §1.3): y = norm_2(attn(norm_1(x)) + x), then norm_4(mlp(norm_3(y)) + y).

use fathom::{
    Perturb, Tensor,
    ops::{add::add, linear::Epilogue},
};

use super::{
    attention::{self, Attention, Cache},
    linear::Linear,
    mlp::{self, Mlp},
    norm::Norm,
};
use crate::{
    error::Result,
    parameters::{Gradients, Parameters},
    segment::Segment,
};

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) norms: [Norm; 4],
    pub(crate) attention: Attention,
    pub(crate) out: Linear,
    pub(crate) mlp: Mlp,
}

/// Rows of one pass, with their angles.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(super) segment: Segment,
    pub(super) angles: Tensor,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    x: Tensor,
    normed_1: Tensor,
    attention: attention::Saved,
    /// Before norm_2.
    sum_1: Tensor,
    y: Tensor,
    normed_3: Tensor,
    mlp: mlp::Saved,
    /// Before norm_4.
    sum_2: Tensor,
}

impl Block {
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        let Mlp { up, down, .. } = &mut self.mlp;
        let linears = [&mut self.attention.projection, &mut self.out, up, down];
        linears.into_iter().try_for_each(|linear| linear.pack(parameters))
    }

    /// The block's output from x.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        x: Tensor,
        angles: &Tensor,
        segment: &Segment,
        cache: &mut Cache,
    ) -> Result<(Tensor, Saved)> {
        let empty = || Tensor::empty(x.device());
        let (mut normed_1, mut y, mut normed_3, mut out) = (empty(), empty(), empty(), empty());
        let [norm_1, norm_2, norm_3, norm_4] = self.norms;
        let residual = Epilogue::Residual(Perturb::None);
        norm_1.forward(parameters, &x, &mut normed_1)?;
        let attention = self.attention.forward(&normed_1, Some(angles), segment, cache)?;
        let mut sum_1 = x.clone();
        self.out.forward(&attention.mixed, residual, &mut sum_1)?;
        norm_2.forward(parameters, &sum_1, &mut y)?;
        norm_3.forward(parameters, &y, &mut normed_3)?;
        let mlp = self.mlp.forward(&normed_3)?;
        let mut sum_2 = y.clone();
        self.mlp.down.forward(&mlp.hidden, residual, &mut sum_2)?;
        norm_4.forward(parameters, &sum_2, &mut out)?;
        Ok((out, Saved { x, normed_1, attention, sum_1, y, normed_3, mlp, sum_2 }))
    }

    /// x becomes the block's output, where nothing goes back: the same bits as [`Block::forward`]'s, nothing kept.
    pub(crate) fn pass(
        &self,
        parameters: &Parameters,
        x: &mut Tensor,
        angles: &Tensor,
        segment: &Segment,
        cache: &mut Cache,
    ) -> Result<()> {
        let [mut normed, mut y] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        let [norm_1, norm_2, norm_3, norm_4] = self.norms;
        let residual = Epilogue::Residual(Perturb::None);
        norm_1.forward(parameters, x, &mut normed)?;
        let mixed = self.attention.forward(&normed, Some(angles), segment, cache)?.mixed;
        self.out.forward(&mixed, residual, x)?;
        norm_2.forward(parameters, x, &mut y)?;
        norm_3.forward(parameters, &y, &mut normed)?;
        let hidden = self.mlp.hidden(&normed)?;
        self.mlp.down.forward(&hidden, residual, &mut y)?;
        norm_4.forward(parameters, &y, x)
    }

    /// dx, the gradient of the output, becomes that of the input.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        saved: &Saved,
        dx: &mut Tensor,
        angles: &Tensor,
        segment: &Segment,
        cache: &mut Cache,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let empty = || Tensor::empty(dx.device());
        let (mut dsum, mut dnormed, mut dbranch, mut dmixed) = (empty(), empty(), empty(), empty());
        let [norm_1, norm_2, norm_3, norm_4] = self.norms;
        norm_4.backward(parameters, &saved.sum_2, dx, gradients, &mut dsum)?;
        self.mlp.backward(&saved.normed_3, &saved.mlp, &dsum, gradients, &mut dnormed)?;
        norm_3.backward(parameters, &saved.y, &dnormed, gradients, &mut dbranch)?;
        add(&mut dsum, &dbranch)?;
        norm_2.backward(parameters, &saved.sum_1, &dsum, gradients, dx)?;
        self.out.backward(&saved.attention.mixed, dx, gradients, &mut dmixed)?;
        self.attention.backward(
            &saved.normed_1,
            &saved.attention,
            &dmixed,
            Some(angles),
            segment,
            cache,
            gradients,
            &mut dnormed,
        )?;
        norm_1.backward(parameters, &saved.x, &dnormed, gradients, &mut dbranch)?;
        Ok(add(dx, &dbranch)?)
    }
}

/// Blocks one behind the other over the rows of a pass, whose keys and values go to a cache each.
pub(super) fn through(
    blocks: &[Block],
    parameters: &Parameters,
    mut x: Tensor,
    pass: &Pass,
    caches: &mut [Cache],
) -> Result<(Tensor, Vec<Saved>)> {
    let mut saved = Vec::with_capacity(blocks.len());
    for (block, cache) in blocks.iter().zip(caches) {
        let (out, of_block) = block.forward(parameters, x, &pass.angles, &pass.segment, cache)?;
        x = out;
        saved.push(of_block);
    }
    Ok((x, saved))
}

/// [`through`] backwards: dx, the gradient of what came out, becomes that of what went in.
pub(super) fn back_through(
    blocks: &[Block],
    parameters: &Parameters,
    pass: &Pass,
    saved: &[Saved],
    caches: &mut [Cache],
    dx: &mut Tensor,
    gradients: &mut Gradients,
) -> Result<()> {
    for ((block, saved), cache) in blocks.iter().zip(saved).zip(caches).rev() {
        block.backward(parameters, saved, dx, &pass.angles, &pass.segment, cache, gradients)?;
    }
    Ok(())
}
