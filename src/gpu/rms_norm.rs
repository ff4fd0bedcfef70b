//! Launches of `kernels/rms_norm.cu`.

use super::{Gpu, Kernel, params::NormParams, row_threads};
use crate::{DType, Result, Tensor};

const RMS_NORM: Kernel = Kernel { file: "rms_norm", name: "rms_norm" };

/// Words of the two sums over a block (`FOLD_SLOTS` of row.h).
const FOLDS: usize = 2 * 32;

pub(crate) fn rms_norm(gpu: &Gpu, x: &Tensor, weight: &Tensor, eps: f32, out: &mut Tensor) -> Result<()> {
    let params = NormParams {
        x: x.rows_of("rms_norm", DType::F32)?,
        out: out.device_rows(),
        weight: weight.device_rows().data,
        rows: x.rows() as u32,
        width: x.width() as u32,
        eps,
        ..Default::default()
    };
    launch(gpu, RMS_NORM, params)
}

pub(crate) fn double_norm(
    gpu: &Gpu,
    x: &mut Tensor,
    weights: [&Tensor; 2],
    eps: f32,
    out: &mut Tensor,
) -> Result<()> {
    x.rows_of("rms_norm", DType::F32)?;
    let rows = x.device_rows_mut(gpu)?;
    let params = NormParams {
        x: rows,
        first: rows,
        out: out.device_rows(),
        first_weight: weights[0].device_rows().data,
        weight: weights[1].device_rows().data,
        bias: 0,
        rows: x.rows() as u32,
        width: x.width() as u32,
        eps,
        padding: 0,
    };
    launch(gpu, RMS_NORM, params)
}

/// A block a row, its threads by the width alone.
pub(super) fn launch(gpu: &Gpu, kernel: Kernel, params: NormParams) -> Result<()> {
    if params.rows == 0 {
        return Ok(());
    }
    let width = params.width as usize;
    let threads = row_threads(width);
    let shared = 4 * (width.next_multiple_of(4) + FOLDS);
    // SAFETY: rows and vectors of the extents that shapes were checked for.
    unsafe { gpu.session().launch(kernel, &params, [params.rows as usize, 1, 1], threads, shared) }
}
