//! Launches of `kernels/adapter.cu`.

use super::Gpu;
use crate::{Perturb, Result, Tensor, Weight};

pub(crate) fn adapter(
    gpu: &Gpu,
    state: &Tensor,
    weight: &Weight,
    injected: &Tensor,
    perturbation: Perturb<'_>,
    out: &mut Tensor,
) -> Result<()> {
    let _ = (state, weight, injected, perturbation, out);
    Err(crate::Error::Device { device: gpu.name().into(), what: "not yet".into() })
}
