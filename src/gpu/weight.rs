//! Launches of `kernels/weight.cu`.

use super::{
    Gpu, Kernel, launch_rows,
    params::{Rows, WeightParams},
    pitch,
};
use crate::{DType, Result, Tensor};

const OF_COLUMNS: Kernel = Kernel { file: "weight", name: "weight_of_columns" };
const OF_ROWS: Kernel = Kernel { file: "weight", name: "weight_of_rows" };

/// Rows and columns of a tile of `weight_of_rows`, the words between its rows, and the threads of its block.
const TILE: usize = 32;
const STRIDE: usize = TILE + 1;
const THREADS: u32 = 256;

/// Writes `rows` as the columns of a weight.
///
/// # Safety
/// There are as many columns at `out`.
pub(crate) unsafe fn of_columns(gpu: &Gpu, rows: &Tensor, out: Rows) -> Result<()> {
    let (n, k) = (rows.rows(), rows.width());
    let params = WeightParams { from: rows.rows_of("weight", DType::F32)?, out, n: n as u32, k: k as u32 };
    // SAFETY: the caller's promise.
    unsafe { launch_rows(&mut gpu.session(), OF_COLUMNS, &params, n, pitch(k), 0) }
}

/// Writes `rows` as the rows of a weight.
///
/// # Safety
/// There are as many columns at `out` as the tensor has.
pub(crate) unsafe fn of_rows(gpu: &Gpu, rows: &Tensor, out: Rows) -> Result<()> {
    let (k, n) = (rows.rows(), rows.width());
    let params = WeightParams { from: rows.rows_of("weight", DType::F32)?, out, n: n as u32, k: k as u32 };
    if k == 0 || n == 0 {
        return Ok(());
    }
    let (grid, shared) = ([k.div_ceil(TILE), n.div_ceil(TILE), 1], TILE * STRIDE * size_of::<f32>());
    // SAFETY: the caller's promise.
    unsafe { gpu.session().launch(OF_ROWS, &params, grid, THREADS, shared) }
}
