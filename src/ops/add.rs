//! Sums of two tensors.

use rayon::prelude::*;

use super::together;
use crate::{Device, Result, Tensor, error::check, gpu};

/// Elements a task: what a core adds while another wakes.
const CHUNK: usize = 1 << 15;

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
            let chunks = x.data_mut().par_chunks_mut(CHUNK).zip(y.data().par_chunks(CHUNK));
            chunks.for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
            Ok(())
        }
        Device::Gpu(gpu) => gpu::add::add(&gpu, x, y),
    }
}
