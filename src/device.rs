//! Devices and data types.

use std::{fmt, str::FromStr};

use crate::{Error, gpu::Gpu};

/// Where operations run. Clones are the same device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Device {
    /// Native Rust on the host's processors.
    #[default]
    Cpu,
    /// The CUDA kernels, on a GPU or on its emulation.
    Gpu(Gpu),
}

impl Device {
    /// Device `index` of the CUDA driver.
    ///
    /// # Errors
    /// No driver, no such device, or a build without CUDA kernels.
    pub fn cuda(index: usize) -> Result<Self, Error> {
        #[cfg(feature = "cuda")]
        return crate::gpu::cuda::open(index);
        #[cfg(not(feature = "cuda"))]
        return Err(Error::Unavailable {
            device: format!("cuda:{index}"),
            why: "this build has no CUDA kernels (feature 'cuda')".into(),
        });
    }

    /// The GPU of a CUDA stream that stays its owner's (a `CUstream`, created in whatever context): operations run on it in
    /// the order of their calls, among the owner's own work. [`Gpu::flush`] comes before such work that reads or overwrites
    /// what they wrote. Memory comes from the device's pool as the owner has set it, and is kept for later operations until
    /// [`Gpu::trim`]; the stream's context becomes, and stays, the current one of every thread that calls an operation.
    ///
    /// # Errors
    /// No driver; a GPU that is too old; null or another default stream; a build without CUDA kernels.
    ///
    /// # Safety
    /// `stream` is a stream that is alive, and is until the device and all tensors, weights and caches on it are gone. The
    /// owner captures no graph on it while an operation is called.
    pub unsafe fn cuda_on(stream: *mut std::ffi::c_void) -> Result<Self, Error> {
        #[cfg(feature = "cuda")]
        // SAFETY: the caller's promise.
        return unsafe { crate::gpu::cuda::on(stream) };
        #[cfg(not(feature = "cuda"))]
        return Err(Error::Unavailable {
            device: format!("cuda stream {stream:p}"),
            why: "this build has no CUDA kernels (feature 'cuda')".into(),
        });
    }

    /// A card of sm_90a whose kernels run on the host: a new one at each call, with memory of its own.
    ///
    /// # Errors
    /// A build without the emulator.
    pub fn emulated() -> Result<Self, Error> {
        #[cfg(feature = "emulator")]
        return Ok(crate::gpu::Emulated::sm_90a(Default::default()).device());
        #[cfg(not(feature = "emulator"))]
        return Err(Error::Unavailable {
            device: "emulated".into(),
            why: "this build has no kernel emulator (feature 'emulator')".into(),
        });
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index))) {
            ("cpu", None) => Ok(Device::Cpu),
            ("cuda", None) => Device::cuda(0),
            ("cuda", Some(index)) => match index.parse::<u32>() {
                Ok(index) => Device::cuda(index as usize),
                Err(_) => Err(Error::UnknownDevice(name.into())),
            },
            ("emulated", None) => Device::emulated(),
            _ => Err(Error::UnknownDevice(name.into())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Gpu(gpu) => gpu.name(),
        })
    }
}

/// How weights, keys and values are stored. Sums are formed in f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DType {
    /// IEEE single precision.
    #[default]
    F32,
    /// bfloat16: half the bytes; a matrix product rounds its input to it; other activations and all sums stay f32.
    Bf16,
}

impl DType {
    /// Bytes an element.
    pub fn bytes(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::Bf16 => 2,
        }
    }
}

impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "f32" => Ok(DType::F32),
            "bf16" => Ok(DType::Bf16),
            _ => Err(Error::UnknownDType(name.into())),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::Bf16 => "bf16",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_or_say_what_is_wrong() {
        assert_eq!("cpu".parse(), Ok(Device::Cpu));
        #[cfg(not(feature = "cuda"))]
        for name in ["cuda", "cuda:1"] {
            assert!(matches!(name.parse::<Device>(), Err(Error::Unavailable { .. })), "{name}");
        }
        for name in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "CPU"] {
            assert_eq!(name.parse::<Device>(), Err(Error::UnknownDevice(name.into())));
        }
        for dtype in [DType::F32, DType::Bf16] {
            assert_eq!(dtype.to_string().parse(), Ok(dtype));
        }
        assert_eq!("f16".parse::<DType>(), Err(Error::UnknownDType("f16".into())));
    }
}
