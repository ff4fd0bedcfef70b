//! Launch of `kernels/cosine.cu`.

use super::{Gpu, Kernel, params::CosineParams};
use crate::{DType, Result, Tensor};

const COSINE: Kernel = Kernel { file: "cosine", name: "cosine" };

/// Rows and columns of a block's tile, and the words between rows of it in shared memory (cosine.cu).
const TILE: usize = 16;
const STRIDE: usize = 68;

pub(crate) fn cosine(gpu: &Gpu, x: &Tensor, out: &mut Tensor) -> Result<()> {
    let params = CosineParams {
        x: x.rows_of("cosine", DType::F32)?,
        out: out.rows_of("cosine", DType::F32)?,
        rows: x.rows() as u32,
        width: x.width() as u32,
    };
    let tiles = x.rows().div_ceil(TILE);
    let (threads, shared) = (TILE * TILE, 2 * TILE * STRIDE * size_of::<f32>());
    // SAFETY: rows of the extents that shapes were checked for.
    unsafe { gpu.session().launch(COSINE, &params, [tiles, tiles, 1], threads as u32, shared) }
}
