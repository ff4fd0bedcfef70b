//! Launch of `kernels/rope.cu`.

use super::{Gpu, Kernel, launch_rows, params, params::RopeParams};
use crate::{DType, Result, Tensor, ops::rope::Layout};

const ROPE: Kernel = Kernel { file: "rope", name: "rope" };

/// How parameters name a layout.
pub(super) fn rotate(layout: Layout) -> u32 {
    match layout {
        Layout::Interleaved => params::ROTATE_INTERLEAVED,
        Layout::HalfSplit => params::ROTATE_HALF_SPLIT,
    }
}

/// Rotates by the angles, or back by them.
pub(crate) fn rope(
    gpu: &Gpu,
    x: &mut Tensor,
    heads: usize,
    angles: &Tensor,
    layout: Layout,
    back: bool,
) -> Result<()> {
    x.rows_of("rope", DType::F32)?;
    let angles_of_rows = angles.rows_of("rope", DType::F32)?;
    let (rows, head_dim) = (x.rows(), angles.width());
    let params = RopeParams {
        x: x.device_rows_mut(gpu)?,
        angles: angles_of_rows.data,
        angles_pitch: angles_of_rows.pitch,
        rows: rows as u32,
        heads: heads as u32,
        head_dim: head_dim as u32,
        rotate: rotate(layout),
        direction: if back { -1.0 } else { 1.0 },
    };
    // SAFETY: the rows of a tensor, at least as wide as their heads, and as many of angles.
    unsafe { launch_rows(&mut gpu.session(), ROPE, &params, rows, heads * head_dim, 0) }
}
