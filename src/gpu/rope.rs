//! Launches of `kernels/rope.cu`.

use super::Gpu;
use crate::{Result, Tensor, ops::rope::Layout};

pub(crate) fn rope(gpu: &Gpu, x: &mut Tensor, heads: usize, angles: &Tensor, layout: Layout) -> Result<()> {
    let _ = (x, heads, angles, layout);
    Err(crate::Error::Device { device: gpu.name().into(), what: "not yet".into() })
}
