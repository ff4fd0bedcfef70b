//! Launches of `kernels/adapter.cu`.

use super::{
    Gpu,
    params::AdapterParams,
    tile::{Input, Kernels},
};
use crate::{DType, Perturb, Result, Tensor, Weight};

pub(super) const ADAPTER: Kernels = Kernels {
    file: "adapter",
    input: Input::Transformed,
    f32: "adapter_f32",
    skinny: "adapter_bf16_skinny",
    medium: "adapter_bf16_medium",
    tall: None,
};

pub(crate) fn adapter(
    gpu: &Gpu,
    state: &Tensor,
    weight: &Weight,
    injected: &Tensor,
    perturbation: Perturb<'_>,
    out: &mut Tensor,
) -> Result<()> {
    if state.rows() == 0 {
        return Ok(());
    }
    let mut session = gpu.session();
    let params = AdapterParams {
        state: state.rows_of("adapter", DType::F32)?,
        weight: weight.device_columns(),
        injected: injected.rows_of("adapter", DType::F32)?,
        out: out.device_rows(),
        rows: state.rows() as u32,
        k: weight.k() as u32,
        n: weight.n() as u32,
        padding: 0,
        perturbation: session.perturbation(perturbation, weight.k())?,
    };
    let form = ADAPTER.form(weight.dtype(), state.rows());
    let grid = form.tile.grid(state.rows(), weight.n());
    // SAFETY: rows and columns of the extents that shapes were checked for.
    unsafe { session.launch(form.kernel, &params, grid, form.tile.threads, form.shared) }
}
