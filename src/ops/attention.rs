//! Causal attention over shared and private segments in one softmax.

use super::together;
use crate::{
    Device, Result, Tensor, cpu,
    error::check,
    gpu,
    kv::{Sequence, Slots},
};

/// Channels of a head at most.
pub const MAX_DIM: usize = 1024;

/// Heads of an attention layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; divides `query`.
    pub kv: usize,
    /// Channels a head.
    pub dim: usize,
}

impl Heads {
    /// Width of a fused row of queries, keys and values.
    pub fn fused_width(&self) -> usize {
        (self.query + 2 * self.kv) * self.dim
    }
}

/// Which positions a row attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// Index into the sequences.
    pub sequence: usize,
    /// Positions before this one are visible.
    pub visible: usize,
}

/// out = softmax(q·kᵀ/√d)·v: `q` holds the queries, alone or first in fused rows; `out` is `[rows, query · dim]`. Of each
/// position a row reads the first of `slots` that the position has.
///
/// # Errors
/// Widths that do not fit; heads that do not divide or are wider than [`MAX_DIM`]; a row that sees no
/// position; operands on different devices; on a GPU heads of more than 256 channels in f32, or in bf16 of more than 128 or of no
/// multiple of 8, and caches of different types.
pub fn attention<'s, S: AsRef<Sequence> + Sync>(
    q: &Tensor,
    heads: Heads,
    sequences: &[S],
    slots: impl Into<Slots<'s>>,
    rows: &[Query],
    out: &mut Tensor,
) -> Result<()> {
    let slots = slots.into();
    let width = [heads.fused_width(), heads.query * heads.dim].contains(&q.width());
    check("attention", width && q.rows() == rows.len(), || {
        format!("[{}, {}] for {} queries of {heads:?}", q.rows(), q.width(), rows.len())
    })?;
    together("attention", q.device(), &[out.device()])?;
    let divides = heads.kv > 0 && heads.query > 0 && heads.query.is_multiple_of(heads.kv);
    check("attention", divides && (1..=MAX_DIM).contains(&heads.dim), || format!("{heads:?}"))?;
    for sequence in sequences {
        together("attention", q.device(), &[sequence.as_ref().device()])?;
        let width = sequence.as_ref().layout().width;
        check("attention", width == heads.kv * heads.dim, || {
            format!("a cache of {width} channels for {heads:?}")
        })?;
    }
    let (mut last, mut first) = (None, None);
    for (row, query) in rows.iter().enumerate() {
        if last.replace(query.sequence) != Some(query.sequence) {
            let sequence = sequences.get(query.sequence).map(AsRef::as_ref);
            first = sequence.and_then(|sequence| sequence.first(slots.of(query.sequence)));
        }
        check("attention", first.is_some_and(|first| first < query.visible), || {
            format!("row {row} sees no position")
        })?;
    }
    out.reshape(q.rows(), heads.query * heads.dim)?;
    match q.device() {
        Device::Cpu => {
            cpu::attention::attention(q.data(), q.width(), sequences, slots, rows, heads, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::attention::attention(gpu, q, heads, sequences, slots, rows, out),
    }
}
