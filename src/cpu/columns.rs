//! Sums over rows: blocks of [`BLOCK`] rows by themselves, then the blocks in turn, so that the order follows from the
//! number of rows alone.

use rayon::prelude::*;

use super::simd::widest;

/// Rows that are summed from first to last.
pub(crate) const BLOCK: usize = 64;

/// sums += the rows of x.
pub(crate) fn add_rows(x: &[f32], sums: &mut [f32]) {
    let width = sums.len();
    let mut blocks = vec![0.0; x.len().div_ceil(BLOCK * width) * width];
    blocks.par_chunks_mut(width).zip(x.par_chunks(BLOCK * width)).for_each(|(block, x)| add_each(x, block));
    add_each(&blocks, sums);
}

widest! {
    /// sums += the rows of x, one after the other.
    pub(crate) fn add_each(x: &[f32], sums: &mut [f32]) {
        for x in x.chunks_exact(sums.len()) {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
        }
    }
}
