//! Launch of `kernels/scale.cu`.

use super::{Gpu, Kernel, launch_rows, params::ScaleParams};
use crate::{DType, Result, Tensor};

const SCALE: Kernel = Kernel { file: "scale", name: "scale" };

pub(crate) fn scale(gpu: &Gpu, x: &mut Tensor, factor: f32) -> Result<()> {
    x.rows_of("scale", DType::F32)?;
    let (rows, width) = (x.rows(), x.width());
    let params = ScaleParams {
        x: x.device_rows_mut(gpu)?,
        rows: rows as u32,
        width: width as u32,
        factor,
        padding: 0,
    };
    // SAFETY: the rows of a tensor.
    unsafe { launch_rows(&mut gpu.session(), SCALE, &params, rows, width, 0) }
}
