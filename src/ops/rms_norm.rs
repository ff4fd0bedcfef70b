//! RMSNorm.

use crate::{Device, Result, Tensor, cpu, error::check};

/// out = x/√(mean(x²) + ε)·w over the channels of each row.
///
/// # Errors
/// Widths that do not fit.
pub fn rms_norm(x: &Tensor, weight: &[f32], eps: f32, out: &mut Tensor) -> Result<()> {
    let fits = x.width() == weight.len() && !weight.is_empty();
    check("rms_norm", fits, || format!("{} channels, {} weights", x.width(), weight.len()))?;
    out.reshape(x.rows(), x.width());
    match x.device() {
        Device::Cpu => cpu::norm::rms_norm(x.data(), weight, eps, out.data_mut()),
    }
    Ok(())
}
