//! Launch of `kernels/clear.cu`.

use super::{
    Gpu, Kernel, launch_rows,
    params::{ClearParams, DTYPE_F32, Rows},
};
use crate::Result;

const CLEAR: Kernel = Kernel { file: "clear", name: "clear" };

/// Sets `rows` rows of `words` words of 32 bits, one behind the other, to zero.
///
/// # Safety
/// They are there, at `data`.
pub(crate) unsafe fn clear(gpu: &Gpu, data: u64, rows: usize, words: usize) -> Result<()> {
    let x = Rows { data, pitch: words as u32, dtype: DTYPE_F32 };
    let params = ClearParams { x, rows: rows as u32, words: words as u32 };
    // SAFETY: the caller's promise.
    unsafe { launch_rows(&mut gpu.session(), CLEAR, &params, rows, words, 0) }
}
