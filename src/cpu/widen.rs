//! bf16 to f32.

use std::ops::Range;

use half::bf16;

use super::simd::widest;

widest! {
    /// out = the chosen channels of rows of `stride`, close together.
    pub(crate) fn widen(rows: &[bf16], stride: usize, channels: Range<usize>, out: &mut [f32]) {
        let width = channels.len();
        for (out, row) in out.chunks_exact_mut(width).zip(rows.chunks_exact(stride)) {
            for (out, x) in out.iter_mut().zip(&row[channels.clone()]) {
                // As bits: a conversion that minds NaN would not vectorise.
                *out = f32::from_bits(u32::from(x.to_bits()) << 16);
            }
        }
    }
}
