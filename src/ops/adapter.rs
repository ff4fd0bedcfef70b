//! Injection of the embedding into the recurrent state: [s, e]·Wᵀ (spec huginn §1.3), never concatenated.
//!
//! W_e·e is the same at every iteration, so it is computed once a token ([`crate::ops::linear`]) and added in
//! the epilogue of W_s·s.

use super::{linear, linear::Epilogue, perturb};
use crate::{Perturb, Result, Tensor, Weight, error::check};

/// out = W_s·perturb(s) + `injected`, all `[rows, h]`; the state stays perturbed.
///
/// # Errors
/// Widths or numbers of rows that do not fit; a perturbation of another number of rows.
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
    perturb::perturb(state, perturbation)?;
    out.reshape(injected.rows(), injected.width());
    out.data_mut().copy_from_slice(injected.data());
    linear::linear(state, weight, None, Epilogue::Residual(Perturb::None), out)
}
