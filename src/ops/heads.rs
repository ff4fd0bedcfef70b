//! Rows of queries, keys and values taken apart and put together.

use rayon::prelude::*;

use super::{attention::Heads, together};
use crate::{Device, Result, Tensor, error::check, gpu};

/// Rows a task at least: what a core copies while another wakes.
const ROWS: usize = 128;

/// Takes rows `[rows, (query + 2 · kv) · d]` apart: sets q `[rows, query · d]`, and rows `places` of k and v, each
/// `[positions, kv · d]`, in the order given.
///
/// # Errors
/// Shapes that do not fit; a place past the last position; operands on different devices; a device other than the CPU.
pub fn split(
    qkv: &Tensor,
    heads: Heads,
    places: &[usize],
    q: &mut Tensor,
    [k, v]: [&mut Tensor; 2],
) -> Result<()> {
    fits("split", [qkv.rows(), qkv.width()], heads, places, [&*k, &*v])?;
    together("split", qkv.device(), &[q.device(), k.device(), v.device()])?;
    let [of_q, of_kv] = [heads.query * heads.dim, heads.kv * heads.dim];
    q.reshape(qkv.rows(), of_q)?;
    match qkv.device() {
        Device::Cpu => {
            let rows = || qkv.data().chunks_exact(of_q + 2 * of_kv);
            let queries = |q: &mut Tensor| {
                q.data_mut()
                    .chunks_exact_mut(of_q)
                    .zip(rows())
                    .for_each(|(q, row)| q.copy_from_slice(&row[..of_q]));
            };
            let positions = |x: &mut Tensor, first: usize| {
                let x = x.data_mut();
                for (row, &place) in rows().zip(places) {
                    x[place * of_kv..][..of_kv].copy_from_slice(&row[first..first + of_kv]);
                }
            };
            let both = || rayon::join(|| positions(k, of_q), || positions(v, of_q + of_kv));
            rayon::join(|| queries(q), both);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::heads::split(gpu, qkv, heads, places, q, [k, v]),
    }
}

/// The opposite of [`split`]: sets qkv from q and rows `places` of k and v.
///
/// # Errors
/// As [`split`].
pub fn join(
    q: &Tensor,
    [k, v]: [&Tensor; 2],
    heads: Heads,
    places: &[usize],
    qkv: &mut Tensor,
) -> Result<()> {
    let [of_q, of_kv] = [heads.query * heads.dim, heads.kv * heads.dim];
    check("join", q.width() == of_q, || format!("rows of {} for {heads:?}", q.width()))?;
    fits("join", [q.rows(), of_q + 2 * of_kv], heads, places, [k, v])?;
    together("join", q.device(), &[k.device(), v.device(), qkv.device()])?;
    qkv.reshape(q.rows(), of_q + 2 * of_kv)?;
    match q.device() {
        Device::Cpu => {
            let rows = qkv.data_mut().par_chunks_exact_mut(of_q + 2 * of_kv);
            rows.zip(q.data().par_chunks_exact(of_q)).zip(places).with_min_len(ROWS).for_each(
                |((row, q), &place)| {
                    let (queries, rest) = row.split_at_mut(of_q);
                    let (keys, values) = rest.split_at_mut(of_kv);
                    queries.copy_from_slice(q);
                    keys.copy_from_slice(&k.data()[place * of_kv..][..of_kv]);
                    values.copy_from_slice(&v.data()[place * of_kv..][..of_kv]);
                },
            );
            Ok(())
        }
        Device::Gpu(gpu) => gpu::heads::join(gpu, q, [k, v], heads, places, qkv),
    }
}

fn fits(
    name: &'static str,
    [rows, width]: [usize; 2],
    heads: Heads,
    places: &[usize],
    kv: [&Tensor; 2],
) -> Result<()> {
    let positions = kv[0].rows();
    let alike = kv.iter().all(|x| (x.rows(), x.width()) == (positions, heads.kv * heads.dim));
    check(name, width == heads.fused_width() && width > 0 && rows == places.len() && alike, || {
        let [k, v] = kv.map(|x| [x.rows(), x.width()]);
        format!("[{rows}, {width}] and {k:?}, {v:?} for {heads:?} and {} places", places.len())
    })?;
    let outside = places.iter().find(|&&place| place >= positions);
    check(name, outside.is_none(), || format!("place {} of {positions}", outside.copied().unwrap_or(0)))
}
