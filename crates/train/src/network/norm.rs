//! Norms and their gradients.

use fathom::{
    Tensor,
    ops::{
        layer_norm::{layer_norm, layer_norm_backward},
        rms_norm::{rms_norm, rms_norm_backward},
    },
};

use crate::{
    error::Result,
    parameters::{Gradients, Id, Parameters},
};

/// LayerNorm where there is a bias, RMSNorm elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm {
    pub(crate) weight: Id,
    pub(crate) bias: Option<Id>,
    pub(crate) eps: f32,
}

impl Norm {
    /// Sets out.
    pub(crate) fn forward(&self, parameters: &Parameters, x: &Tensor, out: &mut Tensor) -> Result<()> {
        let weight = &parameters[self.weight];
        match self.bias {
            Some(bias) => layer_norm(x, weight, &parameters[bias], self.eps, out)?,
            None => rms_norm(x, weight, self.eps, out)?,
        }
        Ok(())
    }

    /// Adds to the gradients of weight and bias, and sets dx.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        x: &Tensor,
        dy: &Tensor,
        gradients: &mut Gradients,
        dx: &mut Tensor,
    ) -> Result<()> {
        let weight = &parameters[self.weight];
        match self.bias {
            Some(bias) => {
                let [dweight, dbias] = gradients.pair(self.weight, bias);
                layer_norm_backward(x, weight, self.eps, dy, dx, dweight, dbias)?;
            }
            None => rms_norm_backward(x, weight, self.eps, dy, dx, &mut gradients[self.weight])?,
        }
        Ok(())
    }
}
