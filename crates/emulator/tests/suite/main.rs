//! The emulator on kernels of its own: what it computes, what it counts, and what it reports.

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
