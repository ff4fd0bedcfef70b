//! The squares of all elements.

use rayon::prelude::*;

use super::simd::widest;

/// Elements that are summed by themselves.
pub(crate) const CHUNK: usize = 4096;

/// Lanes of a chunk's sum.
pub(crate) const LANES: usize = 32;

/// Σ x² in double precision: chunks of [`CHUNK`] elements in 32 lanes, then the chunks in turn.
pub(crate) fn square_sum(x: &[f32]) -> f64 {
    let sum = |x: &[f32]| {
        let mut sum = 0.0;
        add_squares(x, &mut sum);
        sum
    };
    let sums: Vec<f64> = x.par_chunks(CHUNK).map(sum).collect();
    sums.into_iter().sum()
}

widest! {
    fn add_squares(x: &[f32], sum: &mut f64) {
        let mut lanes = [0.0; LANES];
        for x in x.chunks(LANES) {
            for (lane, &x) in lanes.iter_mut().zip(x) {
                *lane = f64::from(x).mul_add(f64::from(x), *lane);
            }
        }
        *sum = fold(lanes);
    }
}

/// The sum of lanes, halves onto halves.
#[inline(always)]
pub(crate) fn fold<T: Copy + std::ops::AddAssign>(mut lanes: [T; LANES]) -> T {
    for half in [16, 8, 4, 2, 1] {
        for lane in 0..half {
            let upper = lanes[lane + half];
            lanes[lane] += upper;
        }
    }
    lanes[0]
}
