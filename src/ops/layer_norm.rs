//! LayerNorm.

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// out = (x − mean)/√(var + ε)·w + b over the channels of each row; weight and bias are `[1, width]`.
///
/// # Errors
/// Widths that do not fit; operands on different devices.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32, out: &mut Tensor) -> Result<()> {
    let vectors = [weight, bias].iter().all(|vector| vector.rows() == 1 && vector.width() == x.width());
    check("layer_norm", vectors && x.width() > 0, || {
        format!("{} channels, {} weights, {} biases", x.width(), weight.width(), bias.width())
    })?;
    together("layer_norm", x.device(), &[weight.device(), bias.device(), out.device()])?;
    out.reshape(x.rows(), x.width())?;
    match x.device() {
        Device::Cpu => {
            cpu::norm::layer_norm(x.data(), weight.data(), bias.data(), eps, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::layer_norm::layer_norm(gpu, x, weight, bias, eps, out),
    }
}
