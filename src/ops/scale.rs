//! A tensor times a number.

use crate::{Device, Result, Tensor, gpu};

/// x ← factor·x.
///
/// # Errors
/// What went wrong on the device.
pub fn scale(x: &mut Tensor, factor: f32) -> Result<()> {
    match x.device().clone() {
        Device::Cpu => {
            x.data_mut().iter_mut().for_each(|x| *x *= factor);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::scale::scale(&gpu, x, factor),
    }
}
