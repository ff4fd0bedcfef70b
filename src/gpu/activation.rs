//! Launches of `kernels/activation.cu`.

use super::{
    Gpu, Kernel, launch_rows,
    params::{self, ActivationParams, Rows},
};
use crate::{DType, Result, Tensor, ops::activation::Activation};

const ACTIVATION: Kernel = Kernel { file: "activation", name: "activation" };
const BACKWARD: Kernel = Kernel { file: "activation", name: "activation_backward" };

pub(crate) fn activation(gpu: &Gpu, kind: Activation, x: &Tensor, out: &mut Tensor) -> Result<()> {
    let shape = [out.rows(), out.width()];
    let rows = [x.rows_of("activation", DType::F32)?, out.rows_of("activation", DType::F32)?];
    launch(gpu, ACTIVATION, kind, rows, Rows::default(), shape)
}

pub(crate) fn activation_backward(
    gpu: &Gpu,
    kind: Activation,
    x: &Tensor,
    dy: &Tensor,
    dx: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "activation_backward";
    let rows = [x.rows_of(NAME, DType::F32)?, dx.rows_of(NAME, DType::F32)?];
    launch(gpu, BACKWARD, kind, rows, dy.rows_of(NAME, DType::F32)?, [dy.rows(), dy.width()])
}

fn launch(
    gpu: &Gpu,
    kernel: Kernel,
    kind: Activation,
    [x, out]: [Rows; 2],
    dy: Rows,
    [rows, width]: [usize; 2],
) -> Result<()> {
    let kind = match kind {
        Activation::GeluTanh => params::ACTIVATION_GELU_TANH,
        Activation::GeluErf => params::ACTIVATION_GELU_ERF,
        Activation::SwiGlu => params::ACTIVATION_SWIGLU,
    };
    let params = ActivationParams { x, dy, out, rows: rows as u32, width: width as u32, kind, padding: 0 };
    // SAFETY: rows of the extents that shapes were checked for.
    unsafe { launch_rows(&mut gpu.session(), kernel, &params, rows, width, 0) }
}
