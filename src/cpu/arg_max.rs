//! The largest column of a product that is never stored.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::gemm::{Left, tiles};
use crate::{Weight, weight::PANEL};

/// Rows at a time, whose best so far stand on the stack.
const ROWS: usize = 256;

/// out[i] = the column of the largest element of row i of x·W, the lowest on ties, 0 where all are NaN.
pub(crate) fn arg_max(x: &[f32], w: &Weight, out: &mut [u32]) {
    for (x, out) in x.chunks(ROWS * w.k()).zip(out.chunks_mut(ROWS)) {
        let best = [const { AtomicU64::new(0) }; ROWS];
        tiles(Left::Rows(x), w, |row, column, sums| {
            let columns = PANEL.min(w.n() - column);
            for (best, sums) in best[row..].iter().zip(sums) {
                best.fetch_max(largest(column as u32, &sums[..columns]), Relaxed);
            }
        });
        for (out, best) in out.iter_mut().zip(&best) {
            let key = best.load(Relaxed);
            *out = if key == 0 { 0 } else { !(key as u32) };
        }
    }
}

/// The largest value's rank over the complement of its column, so that the larger key is the one to keep.
fn largest(first: u32, values: &[f32]) -> u64 {
    let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let place = values.iter().position(|&value| value == max);
    let Some(place) = place else { return 0 };
    u64::from(rank(max)) << 32 | u64::from(!(first + place as u32))
}

/// A positive number that orders as the value does, −0 as 0.
fn rank(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}
