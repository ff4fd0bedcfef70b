//! Launches of `kernels/linear.cu`, and of `kernels/linear_hopper.cu` where that runs.

use super::{
    Gpu, hopper, linear_hopper,
    params::{self, LinearParams},
    tile::{Input, Kernels},
};
use crate::{DType, Perturb, Result, Tensor, Weight, ops::linear::Epilogue};

pub(super) const LINEAR: Kernels = Kernels {
    file: "linear",
    input: Input::Plain,
    f32: "linear_f32",
    skinny: "linear_bf16_skinny",
    medium: "linear_bf16_medium",
    tall: Some("linear_bf16_tall"),
};

pub(super) const SWIGLU: Kernels = Kernels {
    f32: "linear_swiglu_f32",
    skinny: "linear_swiglu_bf16_skinny",
    medium: "linear_swiglu_bf16_medium",
    tall: Some("linear_swiglu_bf16_tall"),
    ..LINEAR
};

pub(crate) fn linear(
    gpu: &Gpu,
    x: &Tensor,
    w: &Weight,
    bias: Option<&Tensor>,
    epilogue: Epilogue<'_>,
    out: &mut Tensor,
) -> Result<()> {
    if x.rows() == 0 {
        return Ok(());
    }
    let (kernels, kind, perturbation) = match epilogue {
        Epilogue::None => (LINEAR, params::EPILOGUE_NONE, Perturb::None),
        Epilogue::GeluTanh => (LINEAR, params::EPILOGUE_GELU_TANH, Perturb::None),
        Epilogue::GeluErf => (LINEAR, params::EPILOGUE_GELU_ERF, Perturb::None),
        Epilogue::SwiGlu => (SWIGLU, params::EPILOGUE_NONE, Perturb::None),
        Epilogue::Residual(perturbation) => {
            out.rows_of("linear", DType::F32)?;
            (LINEAR, params::EPILOGUE_RESIDUAL, perturbation)
        }
    };
    let out = out.device_rows_mut(gpu)?;
    let mut session = gpu.session();
    let params = LinearParams {
        x: session.operand("linear", x, w.dtype())?,
        weight: w.device_columns(),
        out,
        bias: bias.map_or(Ok(0), |bias| bias.vector_address("linear"))?,
        epilogue: kind,
        rows: x.rows() as u32,
        k: w.k() as u32,
        n: w.n() as u32,
        perturbation: session.perturbation(perturbation, w.n())?,
    };
    if hopper::runs(gpu, w.dtype()) {
        let kernels =
            if let Epilogue::SwiGlu = epilogue { linear_hopper::SWIGLU } else { linear_hopper::LINEAR };
        // SAFETY: rows, columns and vectors of the extents that shapes were checked for.
        return unsafe { linear_hopper::launch(gpu, &mut session, kernels, params) };
    }
    let form = kernels.form(w.dtype(), x.rows());
    let grid = form.tile.grid(x.rows(), w.n());
    // SAFETY: as above.
    unsafe { session.launch(form.kernel, &params, grid, form.tile.threads, form.shared) }
}
