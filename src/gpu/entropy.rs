//! Launch of `kernels/entropy.cu`.

use super::{FOLD, Gpu, Kernel, launch_rows, params::EntropyParams};
use crate::{DType, Result, Tensor};

const ENTROPY: Kernel = Kernel { file: "entropy", name: "entropy" };

pub(crate) fn entropy(
    gpu: &Gpu,
    logits: &Tensor,
    before: Option<&Tensor>,
    min_p: f32,
    out: &mut Tensor,
) -> Result<()> {
    let (rows, width) = (logits.rows(), logits.width());
    let before = before.map(|before| before.rows_of("entropy", DType::F32)).transpose()?;
    let params = EntropyParams {
        logits: logits.rows_of("entropy", DType::F32)?,
        before: before.unwrap_or_default(),
        out: out.rows_of("entropy", DType::F32)?,
        rows: rows as u32,
        width: width as u32,
        min_p,
        padding: 0,
    };
    // SAFETY: rows of the extents that shapes were checked for; out has two columns.
    unsafe { launch_rows(&mut gpu.session(), ENTROPY, &params, rows, width, 10 * FOLD) }
}
