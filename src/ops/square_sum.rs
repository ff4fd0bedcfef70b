//! The squares of a tensor: what norms of gradients are made of.

use super::missing;
use crate::{Device, Result, Tensor, cpu};

/// Σ x² over all elements, in double precision.
///
/// # Errors
/// A device other than the CPU.
pub fn square_sum(x: &Tensor) -> Result<f64> {
    match x.device() {
        Device::Cpu => Ok(cpu::square_sum::square_sum(x.data())),
        Device::Gpu(gpu) => missing("square_sum", gpu),
    }
}
