//! Each product kernel beside its naive version (`kernels/naive`), on the same inputs in the same memory: equal where both
//! do the same sums, otherwise at most twice as far from float64 (the testkit's `tolerance`).
//!
//! On the emulated cards; where bits do not hang on how a tensor core adds, on a GPU as well if the build has naive kernels
//! for it (feature `naive`).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod arg_max;
mod attention;
mod products;
mod reductions;
mod rows;
mod training;

use bytemuck::Pod;
use fathom_emulator::Options;
use fathom_testkit::{
    compare::{assert_near, largest_error},
    tolerance,
};
use half::bf16;

use super::{Buffer, Gpu, Kernel, launch_rows, padded, params::Rows, pitch};
use crate::{
    DType, Device, Emulated,
    random::{Coordinates, Draw},
};

const DTYPES: [DType; 2] = [DType::F32, DType::Bf16];

fn gpu_of(device: Device) -> Gpu {
    match device {
        Device::Gpu(gpu) => gpu,
        Device::Cpu => panic!("the CPU has no kernels"),
    }
}

fn sm_80() -> Gpu {
    gpu_of(Emulated::sm_80(Options::default()).device())
}

fn sm_90a() -> Gpu {
    gpu_of(Emulated::sm_90a(Options::default()).device())
}

/// An emulated card, and a GPU where there is one with naive kernels.
fn gpus() -> Vec<Gpu> {
    let real = Device::cuda(0).ok().filter(|_| cfg!(feature = "naive"));
    [sm_80()].into_iter().chain(real.map(gpu_of)).collect()
}

/// Rows of a matrix at their pitch.
struct Matrix {
    buffer: Buffer,
    dtype: DType,
    width: usize,
}

impl Matrix {
    /// With zeros behind the rows' ends, as weights have.
    fn new(gpu: &Gpu, dtype: DType, width: usize, data: &[f32]) -> Self {
        Self { buffer: Buffer::holding(gpu, &padded(dtype, width, data)).unwrap(), dtype, width }
    }

    /// With NaN behind the rows' ends.
    fn spoilt(gpu: &Gpu, dtype: DType, width: usize, data: &[f32]) -> Self {
        let mut bytes = padded(dtype, width, data);
        for row in bytes.chunks_mut(pitch(width) * dtype.bytes()) {
            row[width * dtype.bytes()..].fill(0xff);
        }
        Self { buffer: Buffer::holding(gpu, &bytes).unwrap(), dtype, width }
    }

    fn poison(gpu: &Gpu, dtype: DType, rows: usize, width: usize) -> Self {
        Self::spoilt(gpu, dtype, width, &vec![f32::NAN; rows * width])
    }

    fn rows(&self) -> Rows {
        let (pitch, dtype) = (pitch(self.width) as u32, super::dtype(self.dtype));
        Rows { data: self.buffer.address(), pitch, dtype }
    }

    /// Where row `index` begins.
    fn address(&self, index: usize) -> u64 {
        self.buffer.address() + (index * pitch(self.width) * self.dtype.bytes()) as u64
    }

    fn read(&self) -> Vec<f32> {
        let all = read(&self.buffer, self.dtype);
        all.chunks(pitch(self.width)).flat_map(|row| &row[..self.width]).copied().collect()
    }
}

fn read(buffer: &Buffer, dtype: DType) -> Vec<f32> {
    let mut bytes = vec![0; buffer.bytes()];
    buffer.read(0, &mut bytes).unwrap();
    match dtype {
        DType::F32 => bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect(),
        DType::Bf16 => {
            let halves = bytes.chunks_exact(2).map(bytemuck::pod_read_unaligned);
            halves.map(|bits| bf16::from_bits(bits).to_f32()).collect()
        }
    }
}

/// What a kernel is launched with besides its parameters.
#[derive(Debug, Clone, Copy)]
struct Grid {
    blocks: [usize; 3],
    threads: u32,
    shared: usize,
}

impl Grid {
    /// A naive kernel's, a thread an element.
    fn of_elements(rows: usize, width: usize) -> Self {
        Self { blocks: [width.div_ceil(256), rows, 1], threads: 256, shared: 0 }
    }

    /// A naive kernel's, a thread a row.
    fn of_rows(rows: usize, threads: u32) -> Self {
        Self { blocks: [rows.div_ceil(threads as usize), 1, 1], threads, shared: 0 }
    }
}

fn launch<P: Pod>(gpu: &Gpu, kernel: Kernel, params: &P, grid: Grid) {
    let Grid { blocks, threads, shared } = grid;
    // SAFETY: the callers' matrices have the extents that their parameters give.
    unsafe { gpu.session().launch(kernel, params, blocks, threads, shared).unwrap() }
}

/// A kernel of rows and its naive version.
macro_rules! pair {
    ($file:literal, $name:literal) => {
        [
            Kernel { file: $file, name: $name },
            Kernel { file: concat!("naive/", $file), name: concat!("naive_", $name) },
        ]
    };
}
use pair;

/// What a kernel of rows of `width` channels and its naive version write to a matrix each, as `out` makes it.
fn both<P: Pod>(
    gpu: &Gpu,
    [kernel, naive]: [Kernel; 2],
    [rows, width]: [usize; 2],
    grid: Grid,
    out: impl Fn() -> Matrix,
    params: impl Fn(Rows) -> P,
) -> [Vec<f32>; 2] {
    // The channels of a row and ten sums over a block: as much as any of them takes.
    let shared = size_of::<f32>() * width.next_multiple_of(4) + 10 * super::FOLD;
    let (ours, theirs) = (out(), out());
    // SAFETY: as in `launch`.
    unsafe { launch_rows(&mut gpu.session(), kernel, &params(ours.rows()), rows, width, shared).unwrap() };
    launch(gpu, naive, &params(theirs.rows()), grid);
    [ours.read(), theirs.read()]
}

/// Holds `got` to the naive kernel, and that to `plain`, which the testkit computes in the same precision: a naive kernel that is
/// wrong would allow anything. Where it runs sums may be fused and functions are another library's: twice as much again.
#[track_caller]
fn assert_near_naive(context: &str, [got, naive]: [&[f32]; 2], plain: &[f32], exact: &[f64], roundings: u32) {
    let allowed = tolerance::against_naive(2.0 * largest_error(plain, exact), exact, roundings);
    let error = largest_error(naive, exact);
    assert!(
        error <= allowed,
        "naive kernel, {context}: error {error:e} against float64, allowed {allowed:e}"
    );
    assert_near(context, got, naive, exact, roundings);
}

fn coordinates(rows: usize) -> Vec<Coordinates> {
    let at = |row: u32| Coordinates {
        draw: Draw { key: 77, trajectory: row },
        position: 3 + row,
        iteration: row % 4,
    };
    (0..rows as u32).map(at).collect()
}
