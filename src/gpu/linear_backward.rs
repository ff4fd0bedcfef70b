//! Launches of `kernels/linear_backward.cu`, and of `kernels/column_sums.cu` for a bias.

use super::{Gpu, Kernel, column_sums::column_sums, params::LinearBackwardParams};
use crate::{DType, Result, Tensor};

const WEIGHT: Kernel = Kernel { file: "linear_backward", name: "linear_backward_weight" };

/// Rows and channels of a block's tile, its threads, and its bytes of shared memory: twice 16 rows of both operands.
const SIDE: usize = 64;
const THREADS: u32 = 256;
const SHARED: usize = 2 * 2 * 16 * SIDE * size_of::<f32>();

pub(crate) fn linear_backward_weight(gpu: &Gpu, x: &Tensor, dy: &Tensor, dw: &mut Tensor) -> Result<()> {
    const NAME: &str = "linear_backward_weight";
    if x.rows() == 0 {
        return Ok(());
    }
    dw.rows_of(NAME, DType::F32)?;
    let (n, k) = (dw.rows(), dw.width());
    let params = LinearBackwardParams {
        x: x.rows_of(NAME, DType::F32)?,
        dy: dy.rows_of(NAME, DType::F32)?,
        dw: dw.device_rows_mut(gpu)?,
        rows: x.rows() as u32,
        k: k as u32,
        n: n as u32,
        padding: 0,
    };
    let grid = [k.div_ceil(SIDE), n.div_ceil(SIDE), 1];
    // SAFETY: rows of the extents that shapes were checked for.
    unsafe { gpu.session().launch(WEIGHT, &params, grid, THREADS, SHARED) }
}

pub(crate) fn linear_backward_bias(gpu: &Gpu, dy: &Tensor, db: &mut Tensor) -> Result<()> {
    const NAME: &str = "linear_backward_bias";
    let from = dy.rows_of(NAME, DType::F32)?;
    db.rows_of(NAME, DType::F32)?;
    let out = db.device_rows_mut(gpu)?;
    // SAFETY: rows of the extents that shapes were checked for.
    unsafe { column_sums(&mut gpu.session(), from, [dy.rows(), dy.width()], out) }
}
