//! Launch of `kernels/cross_entropy.cu`.

use super::{
    FOLD, Gpu, Kernel, Table, launch_rows,
    params::{CrossEntropyParams, NO_TARGET},
};
use crate::{DType, Result, Tensor};

const CROSS_ENTROPY: Kernel = Kernel { file: "cross_entropy", name: "cross_entropy" };

pub(crate) fn cross_entropy(
    gpu: &Gpu,
    logits: &mut Tensor,
    targets: &[Option<u32>],
    scale: f32,
) -> Result<Vec<f32>> {
    logits.rows_of("cross_entropy", DType::F32)?;
    let (rows, width) = (logits.rows(), logits.width());
    let ids: Vec<u32> = targets.iter().map(|target| target.unwrap_or(NO_TARGET)).collect();
    let logits = logits.device_rows_mut(gpu)?;
    let mut session = gpu.session();
    let params = CrossEntropyParams {
        logits,
        targets: session.table(Table::Ids, &ids)?,
        losses: session.memory(Table::Partials, rows * size_of::<f32>())?,
        rows: rows as u32,
        width: width as u32,
        scale,
        padding: 0,
    };
    // SAFETY: the rows of a tensor, a target each, and room for their losses.
    unsafe { launch_rows(&mut session, CROSS_ENTROPY, &params, rows, width, 2 * FOLD)? };
    let mut losses = vec![0.0; rows];
    session.read(Table::Partials, 0, bytemuck::cast_slice_mut(&mut losses))?;
    Ok(losses)
}
