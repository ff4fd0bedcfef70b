//! Launch of `kernels/embedding_backward.cu`.

use super::{
    Gpu, Kernel, Table, launch_rows,
    params::{EmbeddingBackwardParams, EmbeddingEntry},
};
use crate::{DType, Result, Tensor};

const EMBEDDING_BACKWARD: Kernel = Kernel { file: "embedding_backward", name: "embedding_backward" };

pub(crate) fn embedding_backward(
    gpu: &Gpu,
    ids: &[u32],
    dy: &Tensor,
    scale: f32,
    table: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "embedding_backward";
    table.rows_of(NAME, DType::F32)?;
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    order.sort_by_key(|&row| ids[row as usize]);
    let mut first = 0;
    let entry = |rows: &[u32]| {
        let entry = EmbeddingEntry { id: ids[rows[0] as usize], first, count: rows.len() as u32 };
        first += entry.count;
        entry
    };
    let alike = order.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]);
    let entries: Vec<EmbeddingEntry> = alike.map(entry).collect();
    let width = dy.width();
    let (dy, table) = (dy.rows_of(NAME, DType::F32)?, table.device_rows_mut(gpu)?);
    let mut session = gpu.session();
    let params = EmbeddingBackwardParams {
        dy,
        table,
        entries: session.table(Table::Groups, &entries)?,
        order: session.table(Table::Ids, &order)?,
        count: entries.len() as u32,
        width: width as u32,
        scale,
        padding: 0,
    };
    // SAFETY: rows of dy and of the table that ids were checked for, each of the latter in one entry.
    unsafe { launch_rows(&mut session, EMBEDDING_BACKWARD, &params, entries.len(), width, 0) }
}
