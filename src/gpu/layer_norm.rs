//! Launch of `kernels/layer_norm.cu`.

use super::{Gpu, Kernel, params::NormParams, rms_norm::launch};
use crate::{DType, Result, Tensor};

const LAYER_NORM: Kernel = Kernel { file: "layer_norm", name: "layer_norm" };

pub(crate) fn layer_norm(
    gpu: &Gpu,
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    eps: f32,
    out: &mut Tensor,
) -> Result<()> {
    let params = NormParams {
        x: x.rows_of("layer_norm", DType::F32)?,
        out: out.device_rows(),
        weight: weight.vector_address("layer_norm")?,
        bias: bias.vector_address("layer_norm")?,
        rows: x.rows() as u32,
        width: x.width() as u32,
        eps,
        ..Default::default()
    };
    launch(gpu, LAYER_NORM, params)
}
