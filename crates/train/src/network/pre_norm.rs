//! Pre-norm blocks, GPT-2's and Llama's: y = x + drop(attn(norm_1(x))), then y + drop(mlp(norm_2(y))).

use fathom::{
    Perturb, Tensor,
    ops::{add::add, linear::Epilogue, perturb::perturb},
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
    pub(crate) norm_1: Norm,
    pub(crate) attention: Attention,
    pub(crate) out: Linear,
    pub(crate) norm_2: Norm,
    pub(crate) mlp: Mlp,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) x: Tensor,
    normed_1: Tensor,
    attention: attention::Saved,
    y: Tensor,
    normed_2: Tensor,
    mlp: mlp::Saved,
}

/// Dropout of the two branches.
pub(crate) type Drops<'a> = [Perturb<'a>; 2];

impl Block {
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        let Mlp { up, down, .. } = &mut self.mlp;
        let linears = [&mut self.attention.projection, &mut self.out, up, down];
        linears.into_iter().try_for_each(|linear| linear.pack(parameters))
    }

    /// x becomes the block's output.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        x: &mut Tensor,
        angles: Option<&Tensor>,
        drops: Drops<'_>,
        segment: &Segment,
        cache: &mut Cache,
    ) -> Result<Saved> {
        let [mut normed_1, mut normed_2] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        let input = x.clone();
        self.norm_1.forward(parameters, x, &mut normed_1)?;
        let attention = self.attention.forward(&normed_1, angles, segment, cache)?;
        self.out.forward(&attention.mixed, Epilogue::Residual(drops[0]), x)?;
        let y = x.clone();
        self.norm_2.forward(parameters, x, &mut normed_2)?;
        let mlp = self.mlp.forward(&normed_2)?;
        self.mlp.down.forward(&mlp.hidden, Epilogue::Residual(drops[1]), x)?;
        Ok(Saved { x: input, normed_1, attention, y, normed_2, mlp })
    }

    /// dx, the gradient of the output, becomes that of the input.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        saved: &Saved,
        dx: &mut Tensor,
        angles: Option<&Tensor>,
        drops: Drops<'_>,
        segment: &Segment,
        cache: &mut Cache,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let [mut dnormed, mut dstream] = [Tensor::empty(dx.device()), Tensor::empty(dx.device())];
        let branch = through(drops[1], dx)?;
        self.mlp.backward(
            &saved.normed_2,
            &saved.mlp,
            branch.as_ref().unwrap_or(dx),
            gradients,
            &mut dnormed,
        )?;
        self.norm_2.backward(parameters, &saved.y, &dnormed, gradients, &mut dstream)?;
        add(dx, &dstream)?;

        let branch = through(drops[0], dx)?;
        let mut dmixed = Tensor::empty(dx.device());
        let dy = branch.as_ref().unwrap_or(dx);
        self.out.backward(&saved.attention.mixed, dy, gradients, &mut dmixed)?;
        self.attention.backward(
            &saved.normed_1,
            &saved.attention,
            &dmixed,
            angles,
            segment,
            cache,
            gradients,
            &mut dnormed,
        )?;
        self.norm_1.backward(parameters, &saved.x, &dnormed, gradients, &mut dstream)?;
        Ok(add(dx, &dstream)?)
    }
}

/// The gradient of a branch that was dropped in part; none where it was not and is the stream's.
fn through(drop: Perturb<'_>, dx: &Tensor) -> Result<Option<Tensor>> {
    if matches!(drop, Perturb::None) {
        return Ok(None);
    }
    let mut branch = dx.clone();
    perturb(&mut branch, drop)?;
    Ok(Some(branch))
}
