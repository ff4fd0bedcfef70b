//! Injection of the embedding into the recurrent state: [s, e]·Wᵀ (spec huginn §1.3), never concatenated.
//!
//! W_e·e is the same at every iteration, so it is computed once a token ([`crate::ops::linear`]) and added in
//! the epilogue of W_s·s.

use super::{linear, linear::Epilogue, perturb, together};
use crate::{Device, Perturb, Result, Tensor, Weight, error::check, gpu};

/// out = W_s·perturb(s) + `injected`, all `[rows, h]`; what becomes of the state is unspecified.
///
/// # Errors
/// Widths or numbers of rows that do not fit; a perturbation of another number of rows; operands on different devices.
pub fn adapter(
    state: &mut Tensor,
    weight: &Weight,
    injected: &Tensor,
    perturbation: Perturb<'_>,
    out: &mut Tensor,
) -> Result<()> {
    let fits = (state.width(), state.rows(), weight.n()) == (weight.k(), injected.rows(), injected.width());
    check("adapter", fits, || {
        let of = |x: &Tensor| format!("[{}, {}]", x.rows(), x.width());
        format!(
            "state {} and injected {} for a weight [{}, {}]",
            of(state),
            of(injected),
            weight.k(),
            weight.n()
        )
    })?;
    perturb::fits(perturbation, state)?;
    together("adapter", state.device(), &[weight.device(), injected.device(), out.device()])?;
    out.reshape(injected.rows(), injected.width())?;
    match state.device().clone() {
        Device::Cpu => {
            perturb::perturb(state, perturbation)?;
            out.data_mut().copy_from_slice(injected.data());
            linear::linear(state, weight, None, Epilogue::Residual(Perturb::None), out)
        }
        Device::Gpu(gpu) => gpu::adapter::adapter(&gpu, state, weight, injected, perturbation, out),
    }
}
