//! The innermost product: up to [`ROWS`] rows of x times one panel of 32 columns.
//!
//! Every output element is one chain of fused multiply-adds over k: in rising order for f32; for bf16 by pairs, the
//! odd element of a pair first, which is what the dot-product instruction of AVX512-BF16 evaluates. The chain is the
//! same whatever the instruction set, the number of rows or the thread, hence so are the bits; but that instruction takes
//! values below the smallest normal number for zero.

use super::matrix::Matrix;
use crate::{DType, weight::PANEL};

/// Rows a tile at most: 12 × 2 AVX-512 accumulators leave 8 registers for the panel and the broadcasts.
pub(crate) const ROWS: usize = 12;

/// Words of a row that are multiplied at a time: the rows of a tile and two panels, one at hand and one asked for, then fit a
/// first-level cache of 48 KiB.
pub(crate) const STEPS: usize = 128;

/// Words from one row to the next: no two rows begin in the same set of the cache.
const STRIDE: usize = STEPS + 16;

/// One tile's results, `[rows][32]`.
pub(crate) type Sums = [[f32; PANEL]; ROWS];

/// Instruction sets a tile is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Level {
    /// All that this processor runs, the best first.
    pub(crate) fn available() -> impl Iterator<Item = Level> {
        [
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16"))
                .then_some(Level::Avx512Bf16),
            #[cfg(target_arch = "x86_64")]
            is_x86_feature_detected!("avx512f").then_some(Level::Avx512),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Level::Avx2),
            Some(Level::Portable),
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) fn best() -> Level {
        Self::available().next().unwrap_or(Level::Portable)
    }
}

/// Some channels of a tile's rows, in the words that a weight has: f32 elements, or pairs of bf16.
#[repr(C, align(64))]
pub(crate) struct Rows {
    words: [u32; ROWS * STRIDE],
    order: Order,
    rows: usize,
    steps: usize,
    dtype: DType,
}

/// How words stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Row by row, [`STRIDE`] words apart.
    Rows,
    /// Step by step, [`ROWS`] words apart, f32: what were columns is copied as it stands.
    Steps,
}

impl Rows {
    pub(crate) const fn new() -> Self {
        Self { words: [0; ROWS * STRIDE], order: Order::Rows, rows: 0, steps: 0, dtype: DType::F32 }
    }

    /// Takes steps `from` to `from + STEPS` of the rows of `x`, `k` channels each, at most [`ROWS`], in the words of a
    /// weight of `dtype`.
    pub(crate) fn fill(&mut self, level: Level, dtype: DType, x: &[f32], k: usize, from: usize) {
        (self.order, self.dtype) = (Order::Rows, dtype);
        let channels = match self.dtype {
            DType::F32 => from..(from + STEPS).min(k),
            DType::Bf16 => 2 * from..(2 * (from + STEPS)).min(k),
        };
        self.rows = x.len() / k;
        self.steps = crate::weight::steps(self.dtype, channels.len());
        for (x, words) in x.chunks_exact(k).zip(self.words.chunks_exact_mut(STRIDE)) {
            let x = &x[channels.clone()];
            match (self.dtype, level) {
                (DType::F32, _) => x.iter().zip(words).for_each(|(x, word)| *word = x.to_bits()),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `available` saw AVX-512 with bf16.
                (DType::Bf16, Level::Avx512Bf16) => unsafe { x86::pairs(x, words) },
                (DType::Bf16, _) => pairs(x, words),
            }
        }
    }

    /// Takes the rows of `x`, at most [`ROWS`] of [`STEPS`] channels, as f32.
    pub(crate) fn fill_rows(&mut self, x: Matrix<'_>) {
        let words = self.takes(Order::Rows, x.rows(), x.columns());
        for (row, words) in words.chunks_exact_mut(STRIDE).take(x.rows()).enumerate() {
            words[..x.columns()].copy_from_slice(x.row(row));
        }
    }

    /// Takes the columns of `x`, at most [`ROWS`] of [`STEPS`] channels, as f32.
    pub(crate) fn fill_columns(&mut self, x: Matrix<'_>) {
        let words = self.takes(Order::Steps, x.columns(), x.rows());
        for (step, words) in words.as_chunks_mut::<ROWS>().0.iter_mut().take(x.rows()).enumerate() {
            match x.row(step).first_chunk() {
                Some(whole) => *words = *whole,
                None => words[..x.columns()].copy_from_slice(x.row(step)),
            }
        }
    }

    /// Words a row.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Its words, to be those of `rows` rows of f32.
    fn takes(&mut self, order: Order, rows: usize, steps: usize) -> &mut [f32] {
        assert!(rows <= ROWS && steps <= STEPS);
        (self.order, self.rows, self.steps, self.dtype) = (order, rows, steps, DType::F32);
        bytemuck::cast_slice_mut(&mut self.words)
    }

    /// The word of a row at a step.
    fn word(&self, row: usize, step: usize) -> u32 {
        self.words[match self.order {
            Order::Rows => row * STRIDE + step,
            Order::Steps => step * ROWS + row,
        }]
    }
}

/// Rounds neighbouring channels to bf16, two a word; a last one alone is paired with zero.
fn pairs(x: &[f32], words: &mut [u32]) {
    let half = |x: f32| u32::from(half::bf16::from_f32(x).to_bits());
    for (pair, word) in x.chunks(2).zip(words) {
        *word = half(pair[0]) | pair.get(1).map_or(0, |&odd| half(odd) << 16);
    }
}

/// sums[i] = x[i]·panel where `first`, else sums[i] + x[i]·panel; the panel holds the steps of `x`. Meanwhile the caches are
/// asked for `ahead`, which is multiplied soon.
pub(crate) fn tile(level: Level, x: &Rows, panel: &[u32], ahead: &[u32], first: bool, sums: &mut Sums) {
    assert!(x.rows <= ROWS && x.steps <= STEPS && panel.len() == x.steps * PANEL);
    if first {
        sums[..x.rows].fill([0.0; PANEL]);
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `available` saw the instruction set; the lengths were checked above.
        Level::Avx512Bf16 => unsafe { x86::avx512_bf16(x, panel, ahead, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx512 => unsafe { x86::avx512(x, panel, ahead, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Level::Avx2 => unsafe { x86::avx2(x, panel, sums) },
        Level::Portable => portable(x, panel, sums),
    }
}

/// The bf16 in the upper and in the lower half of a word: the order in which they enter a chain.
fn halves(word: u32) -> [f32; 2] {
    [word & 0xFFFF_0000, word << 16].map(f32::from_bits)
}

fn portable(x: &Rows, panel: &[u32], sums: &mut Sums) {
    for (row, sum) in sums[..x.rows].iter_mut().enumerate() {
        for (step, weights) in panel.chunks_exact(PANEL).enumerate() {
            let x_word = x.word(row, step);
            for (sum, &weight) in sum.iter_mut().zip(weights) {
                match x.dtype {
                    DType::F32 => *sum = f32::from_bits(x_word).mul_add(f32::from_bits(weight), *sum),
                    DType::Bf16 => {
                        for (x, w) in halves(x_word).into_iter().zip(halves(weight)) {
                            *sum = x.mul_add(w, *sum);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests {
    use super::*;

    /// Every level and number of rows gives the bits of the portable chain, whole or in two parts.
    #[test]
    fn all_levels_agree_bit_for_bit() {
        let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0;
        for dtype in [DType::F32, DType::Bf16] {
            for k in [1, 7, 90, STEPS] {
                let steps = crate::weight::steps(dtype, k);
                let weight = crate::Weight::from_fn(&crate::Device::Cpu, dtype, k, PANEL, |row, column| {
                    1.37 * value(row * PANEL + column + 5)
                })
                .unwrap();
                for rows in 1..=ROWS {
                    let x: Vec<f32> = (0..rows * k).map(value).collect();
                    let run = |level| {
                        let mut tiles = Rows::new();
                        let mut sums = [[f32::NAN; PANEL]; ROWS];
                        tiles.fill(level, dtype, &x, k, 0);
                        tile(level, &tiles, weight.panel(0), &[], true, &mut sums);
                        let once = sums;
                        tile(level, &tiles, weight.panel(0), weight.panel(0), false, &mut sums);
                        assert!(sums[rows..].as_flattened().iter().all(|sum| sum.is_nan()), "rows beyond");
                        [once, sums]
                            .map(|sums| sums[..rows].as_flattened().iter().map(|x| x.to_bits()).collect())
                    };
                    let expected: [Vec<u32>; 2] = run(Level::Portable);
                    for level in Level::available() {
                        assert_eq!(run(level), expected, "{dtype} {level:?} k {k} rows {rows} steps {steps}");
                    }
                    if dtype == DType::F32 {
                        let columns: Vec<f32> =
                            (0..rows * k).map(|at| x[at % rows * k + at / rows]).collect();
                        for level in Level::available() {
                            let mut tiles = Rows::new();
                            let mut sums = [[f32::NAN; PANEL]; ROWS];
                            tiles.fill_columns(Matrix::new(&columns, k, rows));
                            tile(level, &tiles, weight.panel(0), &[], true, &mut sums);
                            let sums: Vec<u32> =
                                sums[..rows].as_flattened().iter().map(|x| x.to_bits()).collect();
                            assert_eq!(sums, expected[0], "columns {level:?} k {k} rows {rows}");
                        }
                    }
                }
            }
        }
    }
}
