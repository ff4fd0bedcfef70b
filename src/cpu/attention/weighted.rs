//! The weighted sums of values: one chain of fused multiply-adds a channel, by rising position.

use crate::{cpu::tile::Level, kv::Rows};

/// out[r·width ..] += Σ weights[r·stride + i]·values[i] for R rows and all positions of `values`.
pub(super) fn add_weighted<const R: usize>(
    level: Level,
    weights: &[f32],
    stride: usize,
    values: &Rows<'_>,
    out: &mut [f32],
    width: usize,
) {
    let (count, dim) = (values.count(), values.width());
    if count == 0 {
        return;
    }
    assert!(weights.len() >= (R - 1) * stride + count && out.len() >= (R - 1) * width + dim);
    assert!(values.data().len() >= (count - 1) * values.stride() + dim);
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `available` saw AVX-512F; the lengths were checked above.
        Level::Avx512Bf16 | Level::Avx512 => unsafe {
            x86::avx512::<R>(weights, stride, values, out, width);
        },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `available` saw AVX2 and FMA; the lengths were checked above.
        Level::Avx2 => unsafe { x86::avx2::<R>(weights, stride, values, out, width) },
        Level::Portable => portable::<R>(weights, stride, values, out, width, 0),
    }
}

/// The channels from `first` on.
#[inline(always)]
fn portable<const R: usize>(
    weights: &[f32],
    stride: usize,
    values: &Rows<'_>,
    out: &mut [f32],
    width: usize,
    first: usize,
) {
    for row in 0..R {
        let out = &mut out[row * width + first..row * width + values.width()];
        for i in 0..values.count() {
            let weight = weights[row * stride + i];
            out.iter_mut().zip(&values.row(i)[first..]).for_each(|(out, &v)| *out = weight.mul_add(v, *out));
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::kv::Rows;

    /// All rows at once, two registers of channels each; the last are masked.
    ///
    /// # Safety
    /// `weights` and `out` hold R rows, `values` its positions.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512<const R: usize>(
        weights: &[f32],
        stride: usize,
        values: &Rows<'_>,
        out: &mut [f32],
        width: usize,
    ) {
        let dim = values.width();
        let mask = |from: usize| ((1u32 << dim.saturating_sub(from).min(16)) - 1) as u16;
        let (weights, data, out) = (weights.as_ptr(), values.data().as_ptr(), out.as_mut_ptr());
        for from in (0..dim).step_by(32) {
            let masks = [mask(from), mask(from + 16)];
            // SAFETY: positions below count, rows below R, and masks that end with the channels.
            unsafe {
                let at = |row: usize, half: usize| out.wrapping_add(row * width + from + 16 * half);
                let mut sums: [[__m512; 2]; R] = std::array::from_fn(|row| {
                    [0, 1].map(|half| _mm512_maskz_loadu_ps(masks[half], at(row, half)))
                });
                for i in 0..values.count() {
                    let value = data.wrapping_add(i * values.stride() + from);
                    let value =
                        [0, 1].map(|half| _mm512_maskz_loadu_ps(masks[half], value.wrapping_add(16 * half)));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let weight = _mm512_set1_ps(*weights.add(row * stride + i));
                        for (sum, value) in sums.iter_mut().zip(value) {
                            *sum = _mm512_fmadd_ps(weight, value, *sum);
                        }
                    }
                }
                for (row, sums) in sums.into_iter().enumerate() {
                    for (half, sum) in sums.into_iter().enumerate() {
                        _mm512_mask_storeu_ps(at(row, half), masks[half], sum);
                    }
                }
            }
        }
    }

    /// As [`avx512`], in registers of 8; channels beyond the last whole two go one by one.
    ///
    /// # Safety
    /// As [`avx512`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<const R: usize>(
        weights: &[f32],
        stride: usize,
        values: &Rows<'_>,
        out: &mut [f32],
        width: usize,
    ) {
        let whole = values.width() / 16 * 16;
        for from in (0..whole).step_by(16) {
            // SAFETY: positions below count, rows below R, channels below the last whole register.
            unsafe {
                let at = |row: usize, half: usize| out.as_ptr().add(row * width + from + 8 * half);
                let mut sums: [[__m256; 2]; R] =
                    std::array::from_fn(|row| [0, 1].map(|half| _mm256_loadu_ps(at(row, half))));
                for i in 0..values.count() {
                    let value = values.data().as_ptr().add(i * values.stride() + from);
                    let value = [0, 1].map(|half| _mm256_loadu_ps(value.add(8 * half)));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let weight = _mm256_set1_ps(*weights.as_ptr().add(row * stride + i));
                        for (sum, value) in sums.iter_mut().zip(value) {
                            *sum = _mm256_fmadd_ps(weight, value, *sum);
                        }
                    }
                }
                for (row, sums) in sums.into_iter().enumerate() {
                    for (half, sum) in sums.into_iter().enumerate() {
                        _mm256_storeu_ps(out.as_mut_ptr().add(row * width + from + 8 * half), sum);
                    }
                }
            }
        }
        super::portable::<R>(weights, stride, values, out, width, whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::attention::testing::{sequence, value};

    /// Every level gives the bits of the portable chains, whole registers or not, and leaves other channels alone.
    #[test]
    fn all_levels_agree_bit_for_bit() {
        for dim in [1, 6, 16, 32, 80] {
            for count in [1, 3, 21] {
                let sequence = sequence(count, 2 * dim);
                let spans = sequence.spans(&[0]);
                let values = spans[0].values(0..count, dim..2 * dim, &mut []);
                let weights: Vec<f32> = (0..4 * 25).map(|i| value(i + 5)).collect();
                let run = |level| {
                    let mut out: Vec<f32> = (0..4 * (dim + 3)).map(|i| value(i + 99)).collect();
                    add_weighted::<4>(level, &weights, 25, &values, &mut out, dim + 3);
                    out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
                };
                for level in Level::available() {
                    assert_eq!(run(level), run(Level::Portable), "{level:?} dim {dim} count {count}");
                }
            }
        }
    }
}
