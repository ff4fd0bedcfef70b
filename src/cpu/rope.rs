//! Rotary position embedding of the heads of a row.

use rayon::prelude::*;

use crate::ops::rope::Layout;

/// Rotates the first `heads` heads of each row of x by the row's (cos, sin) pairs, or back by them.
pub(crate) fn rope(
    x: &mut [f32],
    width: usize,
    heads: usize,
    angles: &[f32],
    head_dim: usize,
    layout: Layout,
    back: bool,
) {
    let direction = if back { -1.0 } else { 1.0 };
    let half = head_dim / 2;
    x.par_chunks_mut(width).zip(angles.par_chunks(head_dim)).with_min_len(8).for_each(|(row, angles)| {
        let (cos, sin) = angles.split_at(half);
        for head in row[..heads * head_dim].chunks_mut(head_dim) {
            for pair in 0..half {
                let (i, j) = match layout {
                    Layout::Interleaved => (2 * pair, 2 * pair + 1),
                    Layout::HalfSplit => (pair, pair + half),
                };
                let (a, b) = (head[i], head[j]);
                let (cos, sin) = (cos[pair], direction * sin[pair]);
                head[i] = a * cos - b * sin;
                head[j] = b * cos + a * sin;
            }
        }
    });
}
