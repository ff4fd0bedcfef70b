//! Launch of `kernels/clear.cu`.

use super::{
    Gpu, Kernel, launch_rows,
    params::{ClearParams, Rows},
};
use crate::Result;

const CLEAR: Kernel = Kernel { file: "clear", name: "clear" };

/// Sets `count` rows of `bytes` bytes, a multiple of 4, to zero.
///
/// # Safety
/// There are so many rows at `rows`.
pub(crate) unsafe fn clear(gpu: &Gpu, rows: Rows, count: usize, bytes: usize) -> Result<()> {
    let words = bytes / size_of::<u32>();
    let words_apart = rows.pitch as usize * if rows.dtype == super::params::DTYPE_F32 { 4 } else { 2 } / 4;
    let x = Rows { pitch: words_apart as u32, dtype: super::params::DTYPE_F32, ..rows };
    let params = ClearParams { x, rows: count as u32, words: words as u32 };
    // SAFETY: the caller's promise.
    unsafe { launch_rows(&mut gpu.session(), CLEAR, &params, count, words, 0) }
}
