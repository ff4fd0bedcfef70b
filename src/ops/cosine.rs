//! Cosines of all pairs of rows: how far trajectories lie apart in latent space.

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// out `[rows, rows]`: element (i, j) is x_i·x_j/(‖x_i‖‖x_j‖), 0 where one of them is zero. The CPU sums in double
/// precision, a GPU in f32, where squares have to stay within its range: channels between 10⁻¹⁸ and 10¹⁸.
///
/// # Errors
/// Rows without channels; operands on different devices.
pub fn cosine(x: &Tensor, out: &mut Tensor) -> Result<()> {
    check("cosine", x.width() > 0, || "rows without channels".into())?;
    together("cosine", x.device(), &[out.device()])?;
    out.reshape(x.rows(), x.rows())?;
    if x.rows() == 0 {
        return Ok(());
    }
    match x.device() {
        Device::Cpu => {
            cpu::cosine::cosine(x.data(), x.width(), out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::cosine::cosine(gpu, x, out),
    }
}
