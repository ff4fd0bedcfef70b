//! The squares of a tensor: what norms of gradients are made of.

use crate::{Device, Result, Tensor, cpu, gpu};

/// Σ x² over all elements, in double precision.
///
/// # Errors
/// What went wrong on the device since the last wait.
pub fn square_sum(x: &Tensor) -> Result<f64> {
    match x.device() {
        Device::Cpu => Ok(cpu::square_sum::square_sum(x.data())),
        Device::Gpu(gpu) => gpu::square_sum::square_sum(gpu, x),
    }
}
