//! Launches of `kernels/norm_backward.cu`.

use super::{
    FOLD, Gpu, Kernel,
    column_sums::{add_rows, partials},
    params::{NormBackwardParams, Rows},
    row_threads,
};
use crate::{DType, Result, Tensor};

const LAYER_NORM: Kernel = Kernel { file: "norm_backward", name: "layer_norm_backward" };
const RMS_NORM: Kernel = Kernel { file: "norm_backward", name: "rms_norm_backward" };

/// Rows of a block (`NORM_ROWS` of norm_backward.cu).
const ROWS: usize = 16;

/// What a norm's gradient is formed of.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) x: &'a Tensor,
    pub(crate) weight: &'a Tensor,
    pub(crate) eps: f32,
    pub(crate) dy: &'a Tensor,
}

pub(crate) fn layer_norm_backward(
    gpu: &Gpu,
    inputs: Inputs<'_>,
    dx: &mut Tensor,
    [dweight, dbias]: [&mut Tensor; 2],
) -> Result<()> {
    let vectors = [vector(gpu, dweight)?, vector(gpu, dbias)?];
    launch(gpu, LAYER_NORM, inputs, dx, vectors)
}

pub(crate) fn rms_norm_backward(
    gpu: &Gpu,
    inputs: Inputs<'_>,
    dx: &mut Tensor,
    dweight: &mut Tensor,
) -> Result<()> {
    let vectors = [vector(gpu, dweight)?];
    launch(gpu, RMS_NORM, inputs, dx, vectors)
}

fn vector(gpu: &Gpu, x: &mut Tensor) -> Result<Rows> {
    x.rows_of("norm_backward", DType::F32)?;
    x.device_rows_mut(gpu)
}

fn launch<const N: usize>(
    gpu: &Gpu,
    kernel: Kernel,
    Inputs { x, weight, eps, dy }: Inputs<'_>,
    dx: &mut Tensor,
    vectors: [Rows; N],
) -> Result<()> {
    let (rows, width) = (x.rows(), x.width());
    if rows == 0 {
        return Ok(());
    }
    let blocks = rows.div_ceil(ROWS);
    let mut session = gpu.session();
    let sums: [Rows; N] = partials(&mut session, blocks, width)?;
    let params = NormBackwardParams {
        x: x.rows_of(kernel.name, DType::F32)?,
        dy: dy.rows_of(kernel.name, DType::F32)?,
        dx: dx.rows_of(kernel.name, DType::F32)?,
        dweight: sums[0],
        dbias: sums.get(1).copied().unwrap_or_default(),
        weight: weight.vector_address(kernel.name)?,
        rows: rows as u32,
        width: width as u32,
        eps,
        padding: 0,
    };
    let shared = 2 * size_of::<f32>() * width.next_multiple_of(4) + 4 * FOLD;
    // SAFETY: rows and vectors of the extents that shapes were checked for, and rows of sums for each block.
    unsafe { session.launch(kernel, &params, [blocks, 1, 1], row_threads(width), shared)? };
    for (sums, vector) in sums.into_iter().zip(vectors) {
        // SAFETY: as above.
        unsafe { add_rows(&mut session, sums, [blocks, width], vector)? };
    }
    Ok(())
}
