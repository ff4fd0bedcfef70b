//! The emulator on kernels of its own: what it computes, what it counts, and what it reports.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod faults;
mod gemm;
mod hopper;
mod instructions;
mod params;
mod reduce;

include!(concat!(env!("OUT_DIR"), "/test_kernels.rs"));

use fathom_emulator::{Counters, Launch, Machine, Options, Report, find};

/// Launches the test kernel `name`.
///
/// # Safety
/// That of [`Machine::run`], which the parameters' types do not state.
unsafe fn launch<P: Copy>(
    name: &str,
    params: &P,
    grid: [u32; 3],
    block: u32,
    shared_bytes: u32,
    options: &Options,
) -> Result<Counters, Report> {
    // SAFETY: parameter structs are plain data without implicit padding.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const *params).cast(), size_of::<P>()) };
    let launch =
        Launch { entry: find(ENTRIES, name)?, params: bytes, grid, block: [block, 1, 1], shared_bytes };
    // SAFETY: the caller's promise.
    unsafe { Machine::new().run(&launch, options) }
}

/// A small integer in [-4, 4] for element `i`: sums of their products are exact in f32.
fn small(i: usize) -> f32 {
    ((i.wrapping_mul(2_654_435_761) >> 7) % 9) as f32 - 4.0
}

fn bf16(v: f32) -> u16 {
    assert_eq!(v.to_bits() & 0xffff, 0, "{v} is no bf16");
    (v.to_bits() >> 16) as u16
}

/// Memory aligned as an allocation on a GPU is.
struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    of: std::marker::PhantomData<T>,
}

#[repr(align(256))]
#[derive(Clone, Copy)]
struct Line {
    _bytes: [u8; 256],
}

impl<T: Copy> Aligned<T> {
    fn new(values: &[T]) -> Self {
        let mut lines = vec![Line { _bytes: [0; 256] }; size_of_val(values).div_ceil(256)];
        // SAFETY: the lines have at least as many bytes, and nothing else refers to them.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), lines.as_mut_ptr().cast(), values.len()) };
        Aligned { lines, len: values.len(), of: std::marker::PhantomData }
    }

    fn filled(value: T, len: usize) -> Self {
        Aligned::new(&vec![value; len])
    }

    /// Its address, as parameters hold it; kernels may write there.
    fn address(&mut self) -> u64 {
        self.lines.as_mut_ptr() as u64
    }

    fn get(&self) -> &[T] {
        // SAFETY: `new` filled so many, and T is plain data.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}
