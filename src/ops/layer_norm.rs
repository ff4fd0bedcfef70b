//! LayerNorm.

use crate::{Device, Result, Tensor, cpu, error::check};

/// out = (x − mean)/√(var + ε)·w + b over the channels of each row.
///
/// # Errors
/// Widths that do not fit.
pub fn layer_norm(x: &Tensor, weight: &[f32], bias: &[f32], eps: f32, out: &mut Tensor) -> Result<()> {
    let fits = x.width() == weight.len() && weight.len() == bias.len() && !weight.is_empty();
    check("layer_norm", fits, || {
        format!("{} channels, {} weights, {} biases", x.width(), weight.len(), bias.len())
    })?;
    out.reshape(x.rows(), x.width());
    match x.device() {
        Device::Cpu => cpu::norm::layer_norm(x.data(), weight, bias, eps, out.data_mut()),
    }
    Ok(())
}
