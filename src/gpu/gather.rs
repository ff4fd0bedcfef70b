//! Launch of `kernels/gather.cu`.

use super::{Gpu, Kernel, Table, launch_rows, params::GatherParams};
use crate::{Result, Tensor};

const GATHER: Kernel = Kernel { file: "gather", name: "gather" };

/// out = the chosen rows, of either type: they are copied as words of 32 bits.
pub(crate) fn gather(gpu: &Gpu, rows: &[(&Tensor, usize)], out: &mut Tensor) -> Result<()> {
    let bytes = out.dtype().bytes();
    let words = (out.width() * bytes).div_ceil(size_of::<u32>());
    let addresses: Vec<u64> = rows.iter().map(|(from, row)| from.row_address(*row)).collect();
    let mut to = out.device_rows();
    to.pitch = (to.pitch as usize * bytes / size_of::<u32>()) as u32;
    let mut session = gpu.session();
    let from = session.table(Table::Addresses, &addresses)?;
    let params = GatherParams { out: to, from, rows: rows.len() as u32, width: words as u32 };
    // SAFETY: rows that the tensors have, to as many of the same width in memory of its own.
    unsafe { launch_rows(&mut session, GATHER, &params, rows.len(), words, 0) }
}
