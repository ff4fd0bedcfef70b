//! Launches of `kernels/column_sums.cu`.

use super::{
    Kernel, Session, Table,
    params::{ColumnSumsParams, DTYPE_F32, Rows},
    pitch,
};
use crate::Result;

const COLUMN_SUMS: Kernel = Kernel { file: "column_sums", name: "column_sums" };
const ADD_ROWS: Kernel = Kernel { file: "column_sums", name: "add_rows" };

/// Rows that are summed by themselves, and the threads of a block, four channels each (column_sums.cu).
const ROWS: usize = 64;
const THREADS: u32 = 128;

/// out `[1, width]` += the sum of `rows` rows of x.
///
/// # Safety
/// There are so many rows and channels, of f32, at both.
pub(super) unsafe fn column_sums(
    session: &mut Session<'_>,
    x: Rows,
    [rows, width]: [usize; 2],
    out: Rows,
) -> Result<()> {
    if rows == 0 || width == 0 {
        return Ok(());
    }
    let blocks = rows.div_ceil(ROWS);
    let [sums] = partials(session, blocks, width)?;
    let params = ColumnSumsParams { x, out: sums, rows: rows as u32, width: width as u32 };
    // SAFETY: the caller's promise, and a row of sums a block.
    unsafe { session.launch(COLUMN_SUMS, &params, [tiles(width), blocks, 1], THREADS, 0)? };
    // SAFETY: as above.
    unsafe { add_rows(session, sums, [blocks, width], out) }
}

/// out `[1, width]` += `rows` rows of x, one after the other; as [`column_sums`].
///
/// # Safety
/// As [`column_sums`].
pub(super) unsafe fn add_rows(
    session: &mut Session<'_>,
    x: Rows,
    [rows, width]: [usize; 2],
    out: Rows,
) -> Result<()> {
    let params = ColumnSumsParams { x, out, rows: rows as u32, width: width as u32 };
    // SAFETY: the caller's promise.
    unsafe { session.launch(ADD_ROWS, &params, [tiles(width), 1, 1], THREADS, 0) }
}

fn tiles(width: usize) -> usize {
    width.div_ceil(4 * THREADS as usize)
}

/// Matrices `[rows, width]` of f32 in the memory of partial results.
pub(super) fn partials<const N: usize>(
    session: &mut Session<'_>,
    rows: usize,
    width: usize,
) -> Result<[Rows; N]> {
    let bytes = rows * pitch(width) * size_of::<f32>();
    let first = session.memory(Table::Partials, N * bytes)?;
    let one = |index: usize| Rows {
        data: first + (index * bytes) as u64,
        pitch: pitch(width) as u32,
        dtype: DTYPE_F32,
    };
    Ok(std::array::from_fn(one))
}
