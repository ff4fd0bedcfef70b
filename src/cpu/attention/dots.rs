//! Scores: the products of a tile's queries with the keys of neighbouring positions.
//!
//! Each is Σ q·k in four interleaved chains of fused multiply-adds by channel mod 4, then (0 + 2) + (1 + 3): shorter
//! chains than one, the order of the published implementations' matrix product where a prompt is scored on a CPU, and
//! four chains of four positions fill a register of sixteen.

use crate::{cpu::tile::Level, kv::Rows};

/// scores[r·stride + i] = q[r]·keys[i] for all positions of `keys`.
pub(super) fn dots<const R: usize>(
    level: Level,
    q: [&[f32]; R],
    keys: &Rows<'_>,
    scores: &mut [f32],
    stride: usize,
) {
    let (count, dim) = (keys.count(), keys.width());
    if count == 0 {
        return;
    }
    assert!(q.iter().all(|q| q.len() == dim) && keys.data().len() >= (count - 1) * keys.stride() + dim);
    assert!(scores.len() >= (R - 1) * stride + count);
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `available` saw AVX-512F; the lengths were checked above.
        Level::Avx512Bf16 | Level::Avx512 if dim.is_multiple_of(4) => unsafe {
            x86::avx512(q, keys, scores, stride);
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `available` saw AVX2 and FMA; the lengths were checked above.
        Level::Avx2 if dim.is_multiple_of(4) => unsafe { x86::avx2(q, keys, scores, stride) },
        _ => portable(q, keys, scores, stride),
    }
}

fn portable<const R: usize>(q: [&[f32]; R], keys: &Rows<'_>, scores: &mut [f32], stride: usize) {
    for (row, q) in q.into_iter().enumerate() {
        for i in 0..keys.count() {
            let mut chains = [0.0f32; 4];
            for (q, key) in q.chunks(4).zip(keys.row(i).chunks(4)) {
                for ((chain, &q), &key) in chains.iter_mut().zip(q).zip(key) {
                    *chain = q.mul_add(key, *chain);
                }
            }
            scores[row * stride + i] = (chains[0] + chains[2]) + (chains[1] + chains[3]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::kv::Rows;

    /// Two blocks of four positions for all rows at once; a block that is not full repeats its last position.
    ///
    /// # Safety
    /// `keys` holds its positions, `scores` as many for each of R rows; the width is a multiple of 4 and that of `q`.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512<const R: usize>(
        q: [&[f32]; R],
        keys: &Rows<'_>,
        scores: &mut [f32],
        stride: usize,
    ) {
        let (count, dim, data) = (keys.count(), keys.width(), keys.data().as_ptr());
        for first in (0..count).step_by(8) {
            let at: [*const f32; 8] =
                std::array::from_fn(|i| data.wrapping_add((first + i).min(count - 1) * keys.stride()));
            let mut sums = [[_mm512_setzero_ps(); 2]; R];
            for channel in (0..dim).step_by(4) {
                // SAFETY: positions below count and channels below dim, both by fours.
                let load = |i: usize| unsafe { _mm_loadu_ps(at[i].add(channel)) };
                let block = |i: usize| {
                    let low = _mm256_set_m128(load(i + 1), load(i));
                    let high = _mm256_set_m128(load(i + 3), load(i + 2));
                    let low = _mm512_castps_pd(_mm512_castps256_ps512(low));
                    _mm512_castpd_ps(_mm512_insertf64x4::<1>(low, _mm256_castps_pd(high)))
                };
                let blocks = [block(0), block(4)];
                for (sums, q) in sums.iter_mut().zip(q) {
                    // SAFETY: as above.
                    let q = _mm512_broadcast_f32x4(unsafe { _mm_loadu_ps(q.as_ptr().add(channel)) });
                    for (sum, block) in sums.iter_mut().zip(blocks) {
                        *sum = _mm512_fmadd_ps(q, block, *sum);
                    }
                }
            }
            let some = (count - first).min(8);
            for (row, [a, b]) in sums.into_iter().enumerate() {
                // Pairs (0 + 2, 1 + 3) of a position beside those of another, then their sums.
                let halves = _mm512_add_ps(
                    _mm512_shuffle_ps::<0b01_00_01_00>(a, b),
                    _mm512_shuffle_ps::<0b11_10_11_10>(a, b),
                );
                let sums = _mm512_add_ps(
                    _mm512_shuffle_ps::<0b10_00_10_00>(halves, halves),
                    _mm512_shuffle_ps::<0b11_01_11_01>(halves, halves),
                );
                // Lane 4i holds position i of the first block, lane 4i + 1 that of the second.
                let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
                let sums = _mm512_permutexvar_ps(order, sums);
                let mask = ((1u32 << some) - 1) as u16;
                // SAFETY: `some` scores from `first` on lie inside the row's.
                unsafe { _mm512_mask_storeu_ps(scores.as_mut_ptr().add(row * stride + first), mask, sums) };
            }
        }
    }

    /// As [`avx512`], by two blocks of two positions.
    ///
    /// # Safety
    /// As [`avx512`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<const R: usize>(
        q: [&[f32]; R],
        keys: &Rows<'_>,
        scores: &mut [f32],
        stride: usize,
    ) {
        let (count, dim, data) = (keys.count(), keys.width(), keys.data().as_ptr());
        for first in (0..count).step_by(4) {
            let at: [*const f32; 4] =
                std::array::from_fn(|i| data.wrapping_add((first + i).min(count - 1) * keys.stride()));
            let mut sums = [[_mm256_setzero_ps(); 2]; R];
            for channel in (0..dim).step_by(4) {
                // SAFETY: positions below count and channels below dim, both by fours.
                let load = |i: usize| unsafe { _mm_loadu_ps(at[i].add(channel)) };
                let blocks = [_mm256_set_m128(load(1), load(0)), _mm256_set_m128(load(3), load(2))];
                for (sums, q) in sums.iter_mut().zip(q) {
                    // SAFETY: as above.
                    let q = unsafe { _mm_loadu_ps(q.as_ptr().add(channel)) };
                    let q = _mm256_broadcast_ps(&q);
                    for (sum, block) in sums.iter_mut().zip(blocks) {
                        *sum = _mm256_fmadd_ps(q, block, *sum);
                    }
                }
            }
            for (row, [a, b]) in sums.into_iter().enumerate() {
                let halves = _mm256_add_ps(
                    _mm256_shuffle_ps::<0b01_00_01_00>(a, b),
                    _mm256_shuffle_ps::<0b11_10_11_10>(a, b),
                );
                let sums = _mm256_add_ps(
                    _mm256_shuffle_ps::<0b10_00_10_00>(halves, halves),
                    _mm256_shuffle_ps::<0b11_01_11_01>(halves, halves),
                );
                // Lane 4i holds position i of the first block, lane 4i + 1 that of the second.
                let mut lanes = [0.0; 8];
                // SAFETY: eight floats.
                unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums) };
                let sums = [lanes[0], lanes[4], lanes[1], lanes[5]];
                let some = (count - first).min(4);
                scores[row * stride + first..][..some].copy_from_slice(&sums[..some]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::attention::testing::{sequence, value};

    /// Every level gives the bits of the portable chains, whole blocks or not.
    #[test]
    fn all_levels_agree_bit_for_bit() {
        for dim in [1, 4, 6, 32, 80] {
            let q: Vec<f32> = (0..4 * dim).map(value).collect();
            let q: [&[f32]; 4] = std::array::from_fn(|row| &q[row * dim..(row + 1) * dim]);
            for count in [1, 3, 4, 7, 8, 21] {
                let sequence = sequence(count, 2 * dim);
                let spans = sequence.spans(&[0]);
                let keys = spans[0].keys(0..count, dim..2 * dim, &mut []);
                let run = |level| {
                    let mut scores = vec![f32::NAN; 3 * 25 + count];
                    dots(level, q, &keys, &mut scores, 25);
                    scores.into_iter().map(f32::to_bits).collect::<Vec<_>>()
                };
                for level in Level::available() {
                    assert_eq!(run(level), run(Level::Portable), "{level:?} dim {dim} count {count}");
                }
            }
        }
    }
}
