//! How far two sets of rows lie apart: what exit criteria on states are made of (spec huginn §3.2.2).

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// out `[rows, 4]` = ‖x − y‖, ‖x‖, ‖y‖ and x·y of each row, the norms Euclidean. The CPU sums in double
/// precision, a GPU in f32, a chain a thread and then a tree.
///
/// # Errors
/// Shapes that differ; rows without channels; operands on different devices.
pub fn distance(x: &Tensor, y: &Tensor, out: &mut Tensor) -> Result<()> {
    let fits = (x.rows(), x.width()) == (y.rows(), y.width()) && x.width() > 0;
    check("distance", fits, || format!("[{}, {}] from [{}, {}]", x.rows(), x.width(), y.rows(), y.width()))?;
    together("distance", x.device(), &[y.device(), out.device()])?;
    out.reshape(x.rows(), 4)?;
    match x.device() {
        Device::Cpu => {
            cpu::distance::distance(x.data(), y.data(), x.width(), out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::distance::distance(gpu, x, y, out),
    }
}
