//! Launches of `kernels/linear_hopper.cu`.

use super::{
    Gpu, Session,
    hopper::Kernels,
    params::{LinearHopperParams, LinearParams},
};
use crate::Result;

pub(super) const LINEAR: Kernels =
    Kernels { file: "linear_hopper", names: ["linear_hopper_16", "linear_hopper_64", "linear_hopper_128"] };

pub(super) const SWIGLU: Kernels = Kernels {
    file: "linear_hopper",
    names: ["linear_hopper_swiglu_16", "linear_hopper_swiglu_64", "linear_hopper_swiglu_128"],
};

/// # Safety
/// As [`super::Executor::launch`]; rows and weight are bf16.
pub(super) unsafe fn launch(
    gpu: &Gpu,
    session: &mut Session<'_>,
    kernels: Kernels,
    linear: LinearParams,
) -> Result<()> {
    let [rows, k, n] = [linear.rows, linear.k, linear.n].map(|size| size as usize);
    let form = kernels.form(gpu, (rows, linear.x), (n, linear.weight), k)?;
    let params =
        LinearHopperParams { x_map: form.x_map, weight_map: form.weight_map, linear, padding: [0; 3] };
    // SAFETY: the caller's promise.
    unsafe { session.launch(form.kernel, &params, form.grid, form.threads, form.shared) }
}
