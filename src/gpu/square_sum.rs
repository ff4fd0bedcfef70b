//! Launches of `kernels/square_sum.cu`.

use super::{FOLD, Gpu, Kernel, Session, Table, launch_rows, params::SquareSumParams, row_threads};
use crate::{DType, Result, Tensor};

const SQUARE_SUM: Kernel = Kernel { file: "square_sum", name: "square_sum" };
const TOTAL: Kernel = Kernel { file: "square_sum", name: "total" };

/// Bytes of a number in double precision, and of a fold of such over a block.
const BYTES: usize = size_of::<f64>();
const FOLD_F64: usize = 2 * FOLD;

pub(crate) fn square_sum(gpu: &Gpu, x: &Tensor) -> Result<f64> {
    let (rows, width) = (x.rows(), x.width());
    if rows == 0 || width == 0 {
        return Ok(0.0);
    }
    let mut session = gpu.session();
    let [partials, out] = room(&mut session, rows)?;
    let params = SquareSumParams {
        x: x.rows_of("square_sum", DType::F32)?,
        partials,
        out,
        rows: rows as u32,
        width: width as u32,
    };
    // SAFETY: the rows of a tensor, and room for a number a row and their sum.
    unsafe { launch_rows(&mut session, SQUARE_SUM, &params, rows, width, FOLD_F64)? };
    // SAFETY: as above.
    unsafe { total(&mut session, partials, out, rows)? };
    let mut sum = [0; BYTES];
    session.read(Table::Partials, rows * BYTES, &mut sum)?;
    Ok(f64::from_ne_bytes(sum))
}

/// Room for a number in double precision a row, and behind them for their sum: where each of the two is.
pub(super) fn room(session: &mut Session<'_>, rows: usize) -> Result<[u64; 2]> {
    let partials = session.memory(Table::Partials, (rows + 1) * BYTES)?;
    Ok([partials, partials + (rows * BYTES) as u64])
}

/// Writes the sum of `rows` numbers at `partials` to `out`.
///
/// # Safety
/// They are there, and room for one.
pub(super) unsafe fn total(session: &mut Session<'_>, partials: u64, out: u64, rows: usize) -> Result<()> {
    let params = SquareSumParams { partials, out, rows: rows as u32, ..Default::default() };
    // SAFETY: the caller's promise.
    unsafe { session.launch(TOTAL, &params, [1, 1, 1], row_threads(16 * rows), FOLD_F64) }
}
