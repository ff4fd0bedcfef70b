//! Launch of `kernels/add.cu`.

use super::{Gpu, Kernel, launch_rows, params::AddParams};
use crate::{DType, Result, Tensor};

const ADD: Kernel = Kernel { file: "add", name: "add" };

pub(crate) fn add(gpu: &Gpu, x: &mut Tensor, y: &Tensor) -> Result<()> {
    x.rows_of("add", DType::F32)?;
    let (rows, width) = (x.rows(), x.width());
    let params = AddParams {
        y: y.rows_of("add", DType::F32)?,
        x: x.device_rows_mut(gpu)?,
        rows: rows as u32,
        width: width as u32,
    };
    // SAFETY: the rows of two tensors of one shape.
    unsafe { launch_rows(&mut gpu.session(), ADD, &params, rows, width, 0) }
}
