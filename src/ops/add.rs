//! Sums of two tensors.

use super::together;
use crate::{Device, Result, Tensor, error::check, gpu};

/// x += y, both `[rows, width]`.
///
/// # Errors
/// Shapes that differ; operands on different devices.
pub fn add(x: &mut Tensor, y: &Tensor) -> Result<()> {
    check("add", (x.rows(), x.width()) == (y.rows(), y.width()), || {
        format!("[{}, {}] to [{}, {}]", y.rows(), y.width(), x.rows(), x.width())
    })?;
    together("add", x.device(), &[y.device()])?;
    match x.device().clone() {
        Device::Cpu => {
            x.data_mut().iter_mut().zip(y.data()).for_each(|(x, y)| *x += y);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::add::add(&gpu, x, y),
    }
}
