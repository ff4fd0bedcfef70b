//! Weight matrices, packed for products.

use half::bf16;
use rayon::prelude::*;

use crate::{
    DType, Device, Result,
    gpu::{self, Buffer, params},
    lines::Lines,
};

mod assign;

/// Columns a panel.
pub(crate) const PANEL: usize = 32;

/// A matrix `[k, n]` that maps a row of k channels to n: y = x·W.
///
/// On the CPU columns lie in panels of 32, `[⌈n/32⌉][steps][32]` words of 32 bits, the last panel filled up with zeros: a
/// product walks a panel with contiguous loads, and no width needs a special case. A word is one f32 element, or the
/// bf16 elements of two neighbouring rows, the even one in the low half: the operand of a dot-product instruction.
///
/// On a GPU a column's k elements lie together, `[n][pitch]`, filled up with zeros.
#[derive(Debug)]
pub struct Weight {
    device: Device,
    dtype: DType,
    k: usize,
    n: usize,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    Panels(Lines<u32>),
    Columns(Buffer),
}

impl Weight {
    /// Packs the matrix whose element (row, column) is `element(row, column)`, in parallel.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn from_fn(
        device: &Device,
        dtype: DType,
        k: usize,
        n: usize,
        element: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Result<Self> {
        let memory = match device {
            Device::Cpu => Memory::Panels(panels(dtype, k, n, element)),
            Device::Gpu(gpu) => {
                let bytes = n * gpu::pitch(k) * dtype.bytes();
                Memory::Columns(Buffer::of(gpu, bytes, || columns(dtype, k, n, element))?)
            }
        };
        Ok(Self { device: device.clone(), dtype, k, n, memory })
    }

    /// The device that holds it.
    pub fn device(&self) -> &Device {
        &self.device
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
        match &self.memory {
            Memory::Panels(words) => 4 * words.len(),
            Memory::Columns(buffer) => buffer.bytes(),
        }
    }

    /// Its columns as kernels read them; of a weight on a GPU.
    pub(crate) fn device_columns(&self) -> params::Rows {
        match &self.memory {
            Memory::Panels(_) => params::Rows::default(),
            Memory::Columns(buffer) => params::Rows {
                data: buffer.address(),
                pitch: gpu::pitch(self.k) as u32,
                dtype: gpu::dtype(self.dtype),
            },
        }
    }

    /// Words a column.
    pub(crate) fn steps(&self) -> usize {
        steps(self.dtype, self.k)
    }

    /// Number of panels.
    pub(crate) fn panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    /// One panel, `[steps][32]`, of a weight on the CPU.
    pub(crate) fn panel(&self, index: usize) -> &[u32] {
        let words = self.steps() * PANEL;
        match &self.memory {
            Memory::Panels(panels) => &panels[index * words..(index + 1) * words],
            Memory::Columns(_) => panic!("a weight on {}, read as the host's", self.device),
        }
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

/// Words in panels.
fn panels(dtype: DType, k: usize, n: usize, element: impl Fn(usize, usize) -> f32 + Sync) -> Lines<u32> {
    match dtype {
        DType::F32 => pack(k, n, |row, column| element(row, column).to_bits()),
        DType::Bf16 => {
            let half = |row, column| match row < k {
                true => u32::from(bf16::from_f32(element(row, column)).to_bits()),
                false => 0,
            };
            pack(k.div_ceil(2), n, |step, column| half(2 * step, column) | half(2 * step + 1, column) << 16)
        }
    }
}

/// Bytes of columns at their pitch.
fn columns(dtype: DType, k: usize, n: usize, element: impl Fn(usize, usize) -> f32 + Sync) -> Vec<u8> {
    let bytes = gpu::pitch(k) * dtype.bytes();
    let mut columns = vec![0; n * bytes];
    columns.par_chunks_mut(bytes.max(1)).enumerate().for_each(|(column, bytes)| {
        for (row, place) in bytes.chunks_mut(dtype.bytes()).take(k).enumerate() {
            let x = element(row, column);
            match dtype {
                DType::F32 => place.copy_from_slice(&x.to_ne_bytes()),
                DType::Bf16 => place.copy_from_slice(&bf16::from_f32(x).to_ne_bytes()),
            }
        }
    });
    columns
}

fn pack(steps: usize, n: usize, word: impl Fn(usize, usize) -> u32 + Sync) -> Lines<u32> {
    let mut words = Lines::zeros(n.div_ceil(PANEL) * steps * PANEL);
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
    use crate::Tensor;

    /// A tensor as a matrix and as its transpose, in memory that held another.
    #[test]
    fn rows_and_columns_come_back() {
        let mut weight = Weight::empty();
        for (rows, width) in [(7, 70), (1, 1), (3, 0), (0, 5), (600, 33), (33, 600), (64, 32), (5, 37)] {
            let data: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
            let tensor = Tensor::new(&Device::Cpu, rows, width, data.clone()).unwrap();
            let check = |assigned: &Weight, transposed: bool| {
                let of = |row: usize, column: usize| assigned.get(row, column);
                let shape = if transposed { (width, rows) } else { (rows, width) };
                assert_eq!((assigned.k(), assigned.n(), assigned.dtype()), (shape.0, shape.1, DType::F32));
                for (i, &x) in data.iter().enumerate() {
                    let (row, column) = (i / width, i % width);
                    let got = if transposed { of(column, row) } else { of(row, column) };
                    assert_eq!(got, x, "[{rows}, {width}] at ({row}, {column}), transposed: {transposed}");
                }
                for panel in (0..assigned.panels()).map(|panel| assigned.panel(panel)) {
                    assert_eq!(panel.len(), assigned.k() * PANEL);
                }
                let last =
                    (!assigned.n().is_multiple_of(PANEL)).then(|| assigned.panel(assigned.panels() - 1));
                for lanes in last.iter().flat_map(|panel| panel.chunks(PANEL)) {
                    assert!(lanes[assigned.n() % PANEL..].iter().all(|&word| word == 0), "what fills up");
                }
            };
            weight.assign_rows(&tensor).unwrap();
            check(&weight, false);
            weight.assign_columns(&tensor).unwrap();
            check(&weight, true);
            check(&Weight::of_rows(&tensor).unwrap(), false);
            check(&Weight::of_columns(&tensor).unwrap(), true);
        }
    }

    #[test]
    fn elements_come_back() {
        for dtype in [DType::F32, DType::Bf16] {
            for (k, n) in [(1, 1), (2, 32), (3, 33), (5, 64)] {
                let weight = Weight::from_fn(&Device::Cpu, dtype, k, n, |row, column| {
                    ((row * n + column) % 251) as f32
                })
                .unwrap();
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
