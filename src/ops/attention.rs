//! Causal attention over shared and private segments in one softmax.

use crate::{Device, Result, Tensor, cpu, error::check, kv::Sequence};

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

/// out = softmax(q·kᵀ/√d)·v: `qkv` holds the queries first, `[rows, fused width]`; `out` is `[rows, query · dim]`. Of each
/// position a row reads the first of `slots` that the position has.
///
/// # Errors
/// Widths that do not fit; heads that do not divide or are wider than [`MAX_DIM`]; a row that sees no position.
pub fn attention<S: AsRef<Sequence> + Sync>(
    qkv: &Tensor,
    heads: Heads,
    sequences: &[S],
    slots: &[usize],
    rows: &[Query],
    out: &mut Tensor,
) -> Result<()> {
    check("attention", qkv.width() == heads.fused_width() && qkv.rows() == rows.len(), || {
        format!("[{}, {}] for {} queries of {heads:?}", qkv.rows(), qkv.width(), rows.len())
    })?;
    let divides = heads.kv > 0 && heads.query > 0 && heads.query.is_multiple_of(heads.kv);
    check("attention", divides && (1..=MAX_DIM).contains(&heads.dim), || format!("{heads:?}"))?;
    for sequence in sequences {
        let width = sequence.as_ref().layout().width;
        check("attention", width == heads.kv * heads.dim, || {
            format!("a cache of {width} channels for {heads:?}")
        })?;
    }
    let (mut last, mut first) = (None, None);
    for (row, query) in rows.iter().enumerate() {
        if last.replace(query.sequence) != Some(query.sequence) {
            let sequence = sequences.get(query.sequence).map(AsRef::as_ref);
            first = sequence.and_then(|sequence| sequence.first(slots));
        }
        check("attention", first.is_some_and(|first| first < query.visible), || {
            format!("row {row} sees no position")
        })?;
    }
    out.reshape(qkv.rows(), heads.query * heads.dim);
    match qkv.device() {
        Device::Cpu => {
            cpu::attention::attention(qkv.data(), qkv.width(), sequences, slots, rows, heads, out.data_mut());
        }
    }
    Ok(())
}
