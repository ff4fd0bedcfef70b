//! Launches of `kernels/rms_norm.cu`.

use super::{
    FOLD, Gpu, Kernel, launch_rows,
    params::{NormParams, Rows},
};
use crate::{DType, Result, Tensor};

const RMS_NORM: Kernel = Kernel { file: "rms_norm", name: "rms_norm" };

pub(crate) fn rms_norm(gpu: &Gpu, x: &Tensor, weight: &Tensor, eps: f32, out: &mut Tensor) -> Result<()> {
    let from = x.rows_of("rms_norm", DType::F32)?;
    once(gpu, [from, out.device_rows()], x, weight, eps)
}

pub(crate) fn rms_norm_in_place(gpu: &Gpu, x: &mut Tensor, weight: &Tensor, eps: f32) -> Result<()> {
    x.rows_of("rms_norm", DType::F32)?;
    let rows = x.device_rows_mut(gpu)?;
    once(gpu, [rows, rows], x, weight, eps)
}

fn once(gpu: &Gpu, [from, out]: [Rows; 2], x: &Tensor, weight: &Tensor, eps: f32) -> Result<()> {
    let params = NormParams {
        x: from,
        out,
        weight: weight.vector_address("rms_norm")?,
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
    x.rows_of("double_norm", DType::F32)?;
    let rows = x.device_rows_mut(gpu)?;
    let params = NormParams {
        x: rows,
        first: rows,
        out: out.device_rows(),
        first_weight: weights[0].vector_address("double_norm")?,
        weight: weights[1].vector_address("double_norm")?,
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
    let (rows, width) = (params.rows as usize, params.width as usize);
    let shared = size_of::<f32>() * width.next_multiple_of(4) + 2 * FOLD;
    // SAFETY: rows and vectors of the extents that shapes were checked for.
    unsafe { launch_rows(&mut gpu.session(), kernel, &params, rows, width, shared) }
}
