//! Weight matrices, packed once at load.

use half::bf16;
use rayon::prelude::*;

use crate::{DType, Device};

/// Columns a panel.
pub(crate) const PANEL: usize = 32;

/// A matrix `[k, n]` that maps a row of k channels to n: y = x·W.
///
/// Columns lie in panels of 32, `[⌈n/32⌉][steps][32]` words of 32 bits, the last panel filled up with zeros: a
/// product walks a panel with contiguous loads, and no width needs a special case. A word is one f32 element, or the
/// bf16 elements of two neighbouring rows, the even one in the low half: the operand of a dot-product instruction.
#[derive(Debug, Clone)]
pub struct Weight {
    device: Device,
    dtype: DType,
    k: usize,
    n: usize,
    words: Vec<u32>,
}

impl Weight {
    /// Packs the matrix whose element (row, column) is `element(row, column)`, in parallel over panels.
    pub fn from_fn(
        device: Device,
        dtype: DType,
        k: usize,
        n: usize,
        element: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let words = match dtype {
            DType::F32 => pack(k, n, |row, column| element(row, column).to_bits()),
            DType::Bf16 => {
                let half = |row, column| match row < k {
                    true => u32::from(bf16::from_f32(element(row, column)).to_bits()),
                    false => 0,
                };
                pack(k.div_ceil(2), n, |step, column| {
                    half(2 * step, column) | half(2 * step + 1, column) << 16
                })
            }
        };
        Self { device, dtype, k, n, words }
    }

    /// The device that holds it.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Rows: channels in.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns: channels out.
    pub fn n(&self) -> usize {
        self.n
    }

    /// How it is stored.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Bytes it occupies.
    pub fn bytes(&self) -> usize {
        4 * self.words.len()
    }

    /// Words a column.
    pub(crate) fn steps(&self) -> usize {
        steps(self.dtype, self.k)
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    /// One panel, `[steps][32]`.
    pub(crate) fn panel(&self, index: usize) -> &[u32] {
        let words = self.steps() * PANEL;
        &self.words[index * words..(index + 1) * words]
    }

    /// Element (row, column).
    #[inline]
    pub(crate) fn get(&self, row: usize, column: usize) -> f32 {
        let word = |step: usize| self.panel(column / PANEL)[step * PANEL + column % PANEL];
        match self.dtype {
            DType::F32 => f32::from_bits(word(row)),
            DType::Bf16 => f32::from_bits(word(row / 2) >> (row % 2 * 16) << 16),
        }
    }
}

/// Words that hold k elements.
pub(crate) fn steps(dtype: DType, k: usize) -> usize {
    match dtype {
        DType::F32 => k,
        DType::Bf16 => k.div_ceil(2),
    }
}

fn pack(steps: usize, n: usize, word: impl Fn(usize, usize) -> u32 + Sync) -> Vec<u32> {
    let mut words = vec![0; n.div_ceil(PANEL) * steps * PANEL];
    if steps > 0 {
        words.par_chunks_mut(steps * PANEL).enumerate().for_each(|(panel, rows)| {
            let columns = PANEL.min(n - panel * PANEL);
            for (step, lanes) in rows.chunks_mut(PANEL).enumerate() {
                for (lane, value) in lanes[..columns].iter_mut().enumerate() {
                    *value = word(step, panel * PANEL + lane);
                }
            }
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back() {
        for dtype in [DType::F32, DType::Bf16] {
            for (k, n) in [(1, 1), (2, 32), (3, 33), (5, 64)] {
                let weight = Weight::from_fn(Device::Cpu, dtype, k, n, |row, column| {
                    ((row * n + column) % 251) as f32
                });
                for row in 0..k {
                    for column in 0..n {
                        assert_eq!(
                            weight.get(row, column),
                            ((row * n + column) % 251) as f32,
                            "{dtype} [{k}, {n}]"
                        );
                    }
                }
            }
        }
    }
}
