//! Launch of `kernels/gather.cu`.

use super::{Gpu, Kernel, Table, launch_rows, params::GatherParams};
use crate::{Result, Tensor};

const GATHER: Kernel = Kernel { file: "gather", name: "gather" };

/// out = the chosen rows of x, of either type: they are copied as words of 32 bits.
pub(crate) fn select(gpu: &Gpu, x: &Tensor, rows: &[usize], out: &mut Tensor) -> Result<()> {
    let from = x.rows_of("select", out.dtype())?;
    let bytes = x.dtype().bytes();
    let words = (x.width() * bytes).div_ceil(size_of::<u32>());
    let address = |&row: &usize| from.data + row as u64 * u64::from(from.pitch) * bytes as u64;
    let addresses: Vec<u64> = rows.iter().map(address).collect();
    let mut out = out.device_rows();
    out.pitch = (out.pitch as usize * bytes / size_of::<u32>()) as u32;
    let mut session = gpu.session();
    let params = GatherParams {
        out,
        from: session.table(Table::Addresses, &addresses)?,
        to: 0,
        rows: rows.len() as u32,
        width: words as u32,
    };
    // SAFETY: rows that x has, to as many of the same width in other memory.
    unsafe { launch_rows(&mut session, GATHER, &params, rows.len(), words, 0) }
}
