//! Rows of the embedding table.

use crate::{Device, Result, Tensor, Weight, cpu, error::check};

/// `out[i]` = `scale · E[id]` for each id; the table is stored as the head `[h, vocabulary]`, so that a tied one exists once.
///
/// # Errors
/// An id outside the vocabulary; a table without channels.
pub fn embedding(table: &Weight, ids: &[u32], scale: f32, out: &mut Tensor) -> Result<()> {
    check("embedding", table.k() > 0, || "a table without channels".into())?;
    for &id in ids {
        check("embedding", (id as usize) < table.n(), || {
            format!("token {id} of a vocabulary of {}", table.n())
        })?;
    }
    out.reshape(ids.len(), table.k());
    match table.device() {
        Device::Cpu => cpu::embedding::embedding(table, ids, scale, out.data_mut()),
    }
    Ok(())
}
