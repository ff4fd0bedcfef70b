//! What a device can do at most.

#[cfg(feature = "cuda")]
mod cuda;
mod host;

use fathom::{DType, Device};

use super::suite::Work;

/// Floating-point operations a second, and bytes read and written a second by a copy.
#[derive(Clone, Copy)]
pub(crate) struct Peaks {
    pub(crate) f32: f64,
    /// Of products with bf16 weights; where the processor has no instruction for them, as `f32`.
    pub(crate) bf16: f64,
    pub(crate) copy: f64,
}

impl Peaks {
    /// Of one core of the host, or of a GPU.
    pub(crate) fn measure(device: &Device) -> Self {
        match device {
            Device::Cpu => host::measure(),
            #[cfg(feature = "cuda")]
            _ => cuda::measure().expect("a GPU that was there before"),
            #[cfg(not(feature = "cuda"))]
            _ => unreachable!("a GPU in a build without CUDA"),
        }
    }

    /// The higher ones: other work on the machine hides what is possible.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            f32: self.f32.max(other.f32),
            bf16: self.bf16.max(other.bf16),
            copy: self.copy.max(other.copy),
        }
    }

    /// Of products with weights of `dtype`.
    pub(crate) fn of(self, dtype: DType) -> f64 {
        match dtype {
            DType::F32 => self.f32,
            DType::Bf16 => self.bf16,
        }
    }

    /// Seconds that `work` takes at least, where what it moves comes from memory.
    pub(crate) fn floor(self, work: Work) -> f64 {
        (work.flop as f64 / self.of(work.dtype)).max(work.bytes as f64 / self.copy)
    }
}
