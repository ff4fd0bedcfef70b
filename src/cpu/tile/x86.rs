//! Tiles in AVX-512, with and without its bf16 dot product, and in AVX2.

use std::arch::x86_64::*;

use super::{Order, ROWS, Rows, STRIDE, Sums};
use crate::{DType, weight::PANEL};

/// Rows up to which a product is bound by reading the weight.
const STREAMED: usize = 8;

/// Rounds neighbouring channels to bf16, two a word; a last one alone is paired with zero.
///
/// # Safety
/// `words` holds a word for every two elements of `x`.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn pairs(x: &[f32], words: &mut [u32]) {
    let mask = |count: usize| ((1u32 << count.min(16)) - 1) as u16;
    for at in (0..x.len()).step_by(32) {
        let left = x.len() - at;
        // SAFETY: the masks end with x, and half as many words are stored as elements were loaded, rounded up.
        unsafe {
            let low = _mm512_maskz_loadu_ps(mask(left), x.as_ptr().add(at));
            let high = _mm512_maskz_loadu_ps(mask(left.saturating_sub(16)), x.as_ptr().wrapping_add(at + 16));
            let rounded = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            _mm512_mask_storeu_epi32(words.as_mut_ptr().add(at / 2).cast(), mask(left.div_ceil(2)), rounded);
        }
    }
}

/// Defines the kernel `$name::<R, ROW, STEP>`: R rows at once, two registers of 16 columns each, x's words ROW apart from row
/// to row and STEP from step to step. `$next` makes the next sum of a row from a word of x, the weights' words and the sum
/// so far.
macro_rules! rows512 {
    ($name:ident, $features:literal, |$x:ident, $w:ident, $sum:ident| $next:expr) => {
        /// # Safety
        /// x holds R rows in the order of ROW and STEP, and the panel x.steps steps of 32 words.
        #[target_feature(enable = $features)]
        unsafe fn $name<const R: usize, const ROW: usize, const STEP: usize>(
            x: &Rows,
            panel: *const u32,
            ahead: &[u32],
            sums: &mut [[f32; PANEL]],
        ) {
            let stride = ahead.len() / x.steps.max(1);
            // With nothing to ask for, what is at hand.
            let ahead = if ahead.is_empty() { panel } else { ahead.as_ptr() };
            let words = x.words.as_ptr();
            let sums: *mut f32 = sums.as_mut_ptr().cast();
            // SAFETY: step < x.steps and row < R keep every address inside what the caller promised; a prefetch
            // does not read, wherever it points.
            unsafe {
                let mut acc = [[_mm512_setzero_ps(); 2]; R];
                for (row, acc) in acc.iter_mut().enumerate() {
                    for (half, acc) in acc.iter_mut().enumerate() {
                        *acc = _mm512_loadu_ps(sums.add(row * PANEL + half * 16));
                    }
                }
                for step in 0..x.steps {
                    let at = panel.add(step * PANEL);
                    let w = [_mm512_loadu_si512(at.cast()), _mm512_loadu_si512(at.add(16).cast())];
                    for line in [ahead.wrapping_add(step * stride), ahead.wrapping_add(step * stride + 16)] {
                        // Few rows leave no time between asking and reading: what is asked for would crowd out the first
                        // level before its turn comes.
                        if R > STREAMED {
                            _mm_prefetch::<_MM_HINT_T0>(line.cast());
                        } else {
                            _mm_prefetch::<_MM_HINT_T1>(line.cast());
                        }
                    }
                    for (row, acc) in acc.iter_mut().enumerate() {
                        let $x = _mm512_set1_epi32(*words.add(row * ROW + step * STEP) as i32);
                        for ($sum, $w) in acc.iter_mut().zip(w) {
                            *$sum = $next;
                        }
                    }
                }
                for (row, acc) in acc.into_iter().enumerate() {
                    for (half, acc) in acc.into_iter().enumerate() {
                        _mm512_storeu_ps(sums.add(row * PANEL + half * 16), acc);
                    }
                }
            }
        }
    };
}

rows512!(f32_512, "avx512f", |x, w, sum| {
    _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), *sum)
});

rows512!(widened_512, "avx512f", |x, w, sum| {
    let odd = |word| _mm512_castsi512_ps(_mm512_and_si512(word, _mm512_set1_epi32(0xFFFF_0000_u32 as i32)));
    let even = |word| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(word));
    _mm512_fmadd_ps(even(x), even(w), _mm512_fmadd_ps(odd(x), odd(w), *sum))
});

rows512!(dots_512, "avx512f,avx512bf16", |x, w, sum| {
    let pairs = |word| std::mem::transmute::<__m512i, __m512bh>(word);
    _mm512_dpbf16_ps(*sum, pairs(x), pairs(w))
});

/// As `rows512`, in registers of 8: columns `from` to `from` + 15 of rows from `first` on.
macro_rules! rows256 {
    ($name:ident, |$x:ident, $w:ident, $sum:ident| $next:expr) => {
        /// # Safety
        /// x holds first + R rows in the order of ROW and STEP, the panel x.steps steps of 32 words, and `from` is 0 or 16.
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name<const R: usize, const ROW: usize, const STEP: usize>(
            x: &Rows,
            first: usize,
            panel: *const u32,
            from: usize,
            sums: &mut [[f32; PANEL]],
        ) {
            let words = x.words[first * ROW..].as_ptr();
            let sums: *mut f32 = sums[first..].as_mut_ptr().cast();
            // SAFETY: step < x.steps, row < R and from < 32 keep every address inside what the caller promised.
            unsafe {
                let mut acc = [[_mm256_setzero_ps(); 2]; R];
                for (row, acc) in acc.iter_mut().enumerate() {
                    for (half, acc) in acc.iter_mut().enumerate() {
                        *acc = _mm256_loadu_ps(sums.add(row * PANEL + from + half * 8));
                    }
                }
                for step in 0..x.steps {
                    let at = panel.add(step * PANEL + from);
                    let w = [_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(8).cast())];
                    for (row, acc) in acc.iter_mut().enumerate() {
                        let $x = _mm256_set1_epi32(*words.add(row * ROW + step * STEP) as i32);
                        for ($sum, $w) in acc.iter_mut().zip(w) {
                            *$sum = $next;
                        }
                    }
                }
                for (row, acc) in acc.into_iter().enumerate() {
                    for (half, acc) in acc.into_iter().enumerate() {
                        _mm256_storeu_ps(sums.add(row * PANEL + from + half * 8), acc);
                    }
                }
            }
        }
    };
}

rows256!(f32_256, |x, w, sum| _mm256_fmadd_ps(_mm256_castsi256_ps(x), _mm256_castsi256_ps(w), *sum));

rows256!(widened_256, |x, w, sum| {
    let odd = |word| _mm256_castsi256_ps(_mm256_and_si256(word, _mm256_set1_epi32(0xFFFF_0000_u32 as i32)));
    let even = |word| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(word));
    _mm256_fmadd_ps(even(x), even(w), _mm256_fmadd_ps(odd(x), odd(w), *sum))
});

/// Calls `$kernel::<rows, …>` for a number of rows known only at run time, and for words by row or by step.
macro_rules! by_rows {
    ($kernel:ident, $x:ident, $rows:expr, $args:tt, $n:tt) => {
        match $x.order {
            Order::Rows => by_rows!(@ $kernel, [STRIDE, 1], $rows, $args, $n),
            Order::Steps => by_rows!(@ $kernel, [1, ROWS], $rows, $args, $n),
        }
    };
    (@ $kernel:ident, [$row:expr, $step:expr], $rows:expr, $args:tt, [$($n:literal)*]) => {
        match $rows { $($n => $kernel::<$n, { $row }, { $step }> $args,)* _ => {} }
    };
}

/// # Safety
/// As [`avx512`], on a processor with AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn avx512_bf16(x: &Rows, panel: &[u32], ahead: &[u32], sums: &mut Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        match x.dtype {
            DType::F32 => avx512(x, panel, ahead, sums),
            DType::Bf16 => {
                by_rows!(dots_512, x, x.rows, (x, panel.as_ptr(), ahead, sums), [1 2 3 4 5 6 7 8 9 10 11 12])
            }
        }
    }
}

/// # Safety
/// The panel holds x.steps steps of 32 words.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn avx512(x: &Rows, panel: &[u32], ahead: &[u32], sums: &mut Sums) {
    // SAFETY: the caller's promise; x holds x.rows rows.
    unsafe {
        match x.dtype {
            DType::F32 => {
                by_rows!(f32_512, x, x.rows, (x, panel.as_ptr(), ahead, sums), [1 2 3 4 5 6 7 8 9 10 11 12])
            }
            DType::Bf16 => {
                by_rows!(widened_512, x, x.rows, (x, panel.as_ptr(), ahead, sums), [1 2 3 4 5 6 7 8 9 10 11 12])
            }
        }
    }
}

/// Six rows of 16 columns fill the sixteen registers of AVX2: a tile is walked in two halves of each.
///
/// # Safety
/// As [`avx512`].
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn avx2(x: &Rows, panel: &[u32], sums: &mut Sums) {
    for first in (0..x.rows).step_by(6) {
        let some = (x.rows - first).min(6);
        for from in [0, 16] {
            let panel = panel.as_ptr();
            // SAFETY: the caller's promise; x holds x.rows rows.
            unsafe {
                match x.dtype {
                    DType::F32 => by_rows!(f32_256, x, some, (x, first, panel, from, sums), [1 2 3 4 5 6]),
                    DType::Bf16 => {
                        by_rows!(widened_256, x, some, (x, first, panel, from, sums), [1 2 3 4 5 6])
                    }
                }
            }
        }
    }
}
