//! Launches of `kernels/attention.cu`.

use super::Gpu;
use crate::{
    Result, Tensor,
    kv::Sequence,
    ops::attention::{Heads, Query},
};

pub(crate) fn attention<S: AsRef<Sequence>>(
    gpu: &Gpu,
    q: &Tensor,
    heads: Heads,
    sequences: &[S],
    slots: &[usize],
    rows: &[Query],
    out: &mut Tensor,
) -> Result<()> {
    let _ = (q, heads, sequences, slots, rows, out);
    Err(crate::Error::Device { device: gpu.name().into(), what: "not yet".into() })
}
