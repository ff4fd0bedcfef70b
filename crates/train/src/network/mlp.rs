//! Two linear layers and what stands between them.

use fathom::{
    Tensor,
    ops::{
        activation::{Activation, linear_activation_backward},
        linear::Epilogue,
    },
};

use super::linear::Linear;
use crate::{error::Result, parameters::Gradients};

/// down(f(up(x))).
#[derive(Debug)]
pub(crate) struct Mlp {
    pub(crate) up: Linear,
    pub(crate) activation: Activation,
    pub(crate) down: Linear,
}

/// What the backward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    /// Before f.
    up: Tensor,
    /// Behind it.
    pub(crate) hidden: Tensor,
}

impl Mlp {
    /// Everything but the last product, which its caller adds to a residual stream.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Saved> {
        let [mut up, mut hidden] = [Tensor::empty(x.device()), Tensor::empty(x.device())];
        self.up.forward_activation(x, self.activation, &mut up, &mut hidden)?;
        Ok(Saved { up, hidden })
    }

    /// As [`Mlp::forward`], where nothing goes back: what is behind f alone, the same bits.
    pub(crate) fn hidden(&self, x: &Tensor) -> Result<Tensor> {
        let epilogue = match self.activation {
            Activation::GeluTanh => Epilogue::GeluTanh,
            Activation::GeluErf => Epilogue::GeluErf,
            Activation::SwiGlu => Epilogue::SwiGlu,
        };
        let mut hidden = Tensor::empty(x.device());
        self.up.forward(x, epilogue, &mut hidden)?;
        Ok(hidden)
    }

    /// Sets dx from the gradient of the last product.
    pub(crate) fn backward(
        &self,
        x: &Tensor,
        saved: &Saved,
        dy: &Tensor,
        gradients: &mut Gradients,
        dx: &mut Tensor,
    ) -> Result<()> {
        let mut dup = Tensor::empty(x.device());
        self.down.backward_with(&saved.hidden, dy, gradients, |w| {
            linear_activation_backward(dy, w, self.activation, &saved.up, &mut dup)
        })?;
        self.up.backward(x, &dup, gradients, dx)
    }
}
