//! A perturbation on its own, where no other operation produces the values.

use crate::{Device, Perturb, Result, Tensor, cpu, error::check, gpu};

/// Applies `perturbation` to x `[rows, width]` in place.
///
/// # Errors
/// Coordinates or recorded values of another number of rows.
pub fn perturb(x: &mut Tensor, perturbation: Perturb<'_>) -> Result<()> {
    fits(perturbation, x)?;
    match x.device().clone() {
        Device::Cpu => {
            let width = x.width();
            cpu::perturb::perturb(x.data_mut(), width, perturbation);
            Ok(())
        }
        Device::Gpu(_) if matches!(perturbation, Perturb::None) => Ok(()),
        Device::Gpu(gpu) => gpu::perturb::perturb(&gpu, x, perturbation),
    }
}

/// Checks that `perturbation` has an entry for each row of x, or each element.
pub(super) fn fits(perturbation: Perturb<'_>, x: &Tensor) -> Result<()> {
    let (given, wanted) = match perturbation {
        Perturb::None => (0, 0),
        Perturb::Dropout { rows, .. } | Perturb::Noise { rows, .. } => (rows.len(), x.rows()),
        Perturb::Scale(values) | Perturb::Add(values) => (values.len(), x.rows() * x.width()),
    };
    check("perturb", given == wanted && x.width() > 0, || format!("{given} entries for {wanted}"))
}
