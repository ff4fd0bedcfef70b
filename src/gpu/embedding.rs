//! Launch of `kernels/embedding.cu`.

use super::{Gpu, Kernel, Table, launch_rows, padded, params::EmbeddingParams, pitch};
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
    let token = |input: &Input<'_>| if let Input::Token(id) = *input { id } else { 0 };
    let latents: Vec<&[f32]> = inputs
        .iter()
        .filter_map(|input| if let Input::Latent(latent) = *input { Some(latent) } else { None })
        .collect();
    let ids: Vec<u32> = inputs.iter().map(token).collect();
    let mut session = gpu.session();
    let mut params = EmbeddingParams {
        table: table.device_columns(),
        out: out.rows_of("embedding", DType::F32)?,
        ids: session.table(Table::Ids, &ids)?,
        rows: rows as u32,
        width: width as u32,
        scale,
        ..Default::default()
    };
    if !latents.is_empty() {
        let mut next = session.table(Table::Latents, &padded(DType::F32, width, &latents.concat()))?;
        let address = |input: &Input<'_>| match input {
            Input::Token(_) => 0,
            Input::Latent(_) => {
                let at = next;
                next += (pitch(width) * DType::F32.bytes()) as u64;
                at
            }
        };
        let addresses: Vec<u64> = inputs.iter().map(address).collect();
        params.latents = session.table(Table::Addresses, &addresses)?;
    }
    if let Some(Positions { table, of_rows }) = positions {
        params.position_table = table.device_columns();
        params.positions = session.table(Table::Positions, of_rows)?;
    }
    // SAFETY: ids and positions that the tables have, latents as wide as they are.
    unsafe { launch_rows(&mut session, EMBEDDING, &params, rows, width, 0) }
}
