//! Launch of `kernels/embedding.cu`.

use super::{
    Gpu, Kernel, Table, launch_rows,
    params::{EmbeddingParams, TOKEN_CHOSEN},
};
use crate::{
    DType, Result, Tensor, Weight,
    ops::embedding::{Input, Positions},
};

const EMBEDDING: Kernel = Kernel { file: "embedding", name: "embedding" };

pub(crate) fn embedding(
    gpu: &Gpu,
    table: &Weight,
    inputs: &[Input<'_>],
    scale: f32,
    positions: Option<Positions<'_>>,
    out: &mut Tensor,
) -> Result<()> {
    let (rows, width) = (inputs.len(), table.k());
    let (mut ids, mut latents) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut chosen = 0;
    for input in inputs {
        let (id, address) = match *input {
            Input::Token(id) => (id, 0),
            Input::Chosen(tokens, row) => {
                chosen = tokens.address();
                (row as u32 | TOKEN_CHOSEN, 0)
            }
            Input::Row(from, row) => {
                from.rows_of("embedding", DType::F32)?;
                (0, from.row_address(row))
            }
        };
        ids.push(id);
        latents.push(address);
    }
    let mut session = gpu.session();
    let mut params = EmbeddingParams {
        table: table.device_columns(),
        out: out.rows_of("embedding", DType::F32)?,
        chosen,
        ids: session.table(Table::Ids, &ids)?,
        latents: session.table(Table::Addresses, &latents)?,
        rows: rows as u32,
        width: width as u32,
        scale,
        vocabulary: table.n() as u32,
        ..Default::default()
    };
    if let Some(Positions { table, of_rows }) = positions {
        params.position_table = table.device_columns();
        params.positions = session.table(Table::Positions, of_rows)?;
    }
    // SAFETY: ids, rows and positions that the tables and tensors have, all of one width.
    unsafe { launch_rows(&mut session, EMBEDDING, &params, rows, width, 0) }
}
