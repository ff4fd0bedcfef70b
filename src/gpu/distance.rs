//! Launch of `kernels/distance.cu`.

use super::{FOLD, Gpu, Kernel, launch_rows, params::DistanceParams};
use crate::{DType, Result, Tensor};

const DISTANCE: Kernel = Kernel { file: "distance", name: "distance" };

pub(crate) fn distance(gpu: &Gpu, x: &Tensor, y: &Tensor, out: &mut Tensor) -> Result<()> {
    let params = DistanceParams {
        x: x.rows_of("distance", DType::F32)?,
        y: y.rows_of("distance", DType::F32)?,
        out: out.rows_of("distance", DType::F32)?,
        rows: x.rows() as u32,
        width: x.width() as u32,
    };
    // SAFETY: rows of the extents that shapes were checked for; out has four columns.
    unsafe { launch_rows(&mut gpu.session(), DISTANCE, &params, x.rows(), x.width(), 4 * FOLD) }
}
