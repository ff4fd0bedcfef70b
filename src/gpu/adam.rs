//! Launches of `kernels/adam.cu`.

use super::{
    FOLD, Gpu, Kernel, launch_rows,
    params::AdamParams,
    square_sum::{room, total},
};
use crate::{
    DType, Result, Tensor,
    cpu::adam::{AdamW, EllisAdam},
    ops::adam::Moments,
};

const ADAMW: Kernel = Kernel { file: "adam", name: "adamw" };
const ELLIS_ADAM_GATHER: Kernel = Kernel { file: "adam", name: "ellis_adam_gather" };
const ELLIS_ADAM: Kernel = Kernel { file: "adam", name: "ellis_adam" };

pub(crate) fn adamw(
    gpu: &Gpu,
    parameter: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
    rule: AdamW,
) -> Result<()> {
    let AdamW { factor, shares: [first_share, second_share], kept, step, root, eps } = rule;
    let params = AdamParams {
        factor,
        first_share,
        second_share,
        kept,
        step,
        root,
        eps,
        ..tensors(gpu, parameter, gradient, moments)?
    };
    let [rows, width] = [parameter.rows(), parameter.width()];
    // SAFETY: the rows of tensors of one shape.
    unsafe { launch_rows(&mut gpu.session(), ADAMW, &params, rows, width, 0) }
}

pub(crate) fn ellis_adam(
    gpu: &Gpu,
    parameter: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
    rule: EllisAdam,
) -> Result<()> {
    let EllisAdam { factor, shares: [first_share, second_share], least, kept, step, root } = rule;
    let [rows, width] = [parameter.rows(), parameter.width()];
    if rows == 0 || width == 0 {
        return Ok(());
    }
    let tensors = tensors(gpu, parameter, gradient, moments)?;
    let mut session = gpu.session();
    let [partials, sum] = room(&mut session, rows)?;
    let params = AdamParams {
        partials,
        total: sum,
        factor,
        first_share,
        second_share,
        kept,
        step,
        root,
        eps: least,
        ..tensors
    };
    // SAFETY: the rows of tensors of one shape, and room for a number in double precision a row and their sum.
    unsafe {
        launch_rows(&mut session, ELLIS_ADAM_GATHER, &params, rows, width, 2 * FOLD)?;
        total(&mut session, partials, sum, rows)?;
        launch_rows(&mut session, ELLIS_ADAM, &params, rows, width, 0)
    }
}

fn tensors(
    gpu: &Gpu,
    parameter: &mut Tensor,
    gradient: &Tensor,
    moments: &mut Moments,
) -> Result<AdamParams> {
    let [rows, width] = [parameter.rows() as u32, parameter.width() as u32];
    let changed = |x: &mut Tensor| {
        x.rows_of("adam", DType::F32)?;
        x.device_rows_mut(gpu)
    };
    Ok(AdamParams {
        parameter: changed(parameter)?,
        first: changed(&mut moments.first)?,
        second: changed(&mut moments.second)?,
        gradient: gradient.rows_of("adam", DType::F32)?,
        rows,
        width,
        ..Default::default()
    })
}
