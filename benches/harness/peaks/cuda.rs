//! Peaks of a GPU: a copy is measured, arithmetic is what its multiprocessors can issue at their highest clock.

use cudarc::driver::{CudaContext, DriverError, sys::CUdevice_attribute as Attribute};

use super::Peaks;

/// Bytes that are copied, beyond any cache.
const COPIED: usize = 1 << 30;

/// Copies, of which the fastest counts.
const RUNS: usize = 9;

/// Of device 0.
pub(super) fn measure() -> Result<Peaks, DriverError> {
    let context = CudaContext::new(0)?;
    let attribute = |attribute| context.attribute(attribute).map(f64::from);
    let multiprocessors = attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    let hertz = 1e3 * attribute(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?;
    let [f32, bf16] = operations(context.compute_capability()?).map(|each| each * multiprocessors * hertz);
    Ok(Peaks { f32, bf16, copy: copy(&context)? })
}

/// Floating-point operations a clock of one multiprocessor: f32 multiply-adds, and dense bf16 products with f32 sums (CUDA
/// C++ Programming Guide, arithmetic instructions; white papers of the architectures).
fn operations(capability: (i32, i32)) -> [f64; 2] {
    match capability {
        (8, 0) => [128.0, 2048.0],
        (8, _) => [256.0, 512.0],
        _ => [256.0, 4096.0],
    }
}

fn copy(context: &std::sync::Arc<CudaContext>) -> Result<f64, DriverError> {
    let stream = context.new_stream()?;
    // Zeros are cheaper to move than data.
    let source: Vec<u32> = (0..COPIED as u32 / 4).map(|index| index.wrapping_mul(0x9E37_79B9)).collect();
    let source = stream.clone_htod(&source)?;
    let mut target = stream.alloc_zeros::<u32>(COPIED / 4)?;
    let mut seconds = f64::INFINITY;
    for _ in 0..RUNS {
        let flags = Some(cudarc::driver::sys::CUevent_flags::CU_EVENT_DEFAULT);
        let start = stream.record_event(flags)?;
        stream.memcpy_dtod(&source, &mut target)?;
        let end = stream.record_event(flags)?;
        seconds = seconds.min(1e-3 * f64::from(start.elapsed_ms(&end)?));
    }
    Ok(2.0 * COPIED as f64 / seconds)
}
