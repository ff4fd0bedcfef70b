//! Launch of `kernels/perturb.cu`.

use super::{Gpu, Kernel, launch_rows, params::PerturbParams};
use crate::{DType, Perturb, Result, Tensor};

const PERTURB: Kernel = Kernel { file: "perturb", name: "perturb" };

pub(crate) fn perturb(gpu: &Gpu, x: &mut Tensor, perturbation: Perturb<'_>) -> Result<()> {
    x.rows_of("perturb", DType::F32)?;
    let (rows, width) = (x.rows(), x.width());
    let x = x.device_rows_mut(gpu)?;
    let mut session = gpu.session();
    let perturbation = session.perturbation(perturbation, width)?;
    let params = PerturbParams { x, rows: rows as u32, width: width as u32, perturbation };
    // SAFETY: the rows of a tensor, and an entry of the perturbation for each.
    unsafe { launch_rows(&mut session, PERTURB, &params, rows, width, 0) }
}
