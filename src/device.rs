//! Devices and data types.

use std::{fmt, str::FromStr};

use crate::Error;

/// Where operations run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Device {
    /// Native Rust on the host's processors.
    #[default]
    Cpu,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let unavailable = |why| Err(Error::Unavailable { device: name.into(), why });
        match name.split_once(':').map_or((name, None), |(kind, index)| (kind, Some(index))) {
            ("cpu", None) => Ok(Device::Cpu),
            ("cuda", None) => unavailable("this build has no CUDA kernels"),
            ("cuda", Some(index)) if index.parse::<u32>().is_ok() => {
                unavailable("this build has no CUDA kernels")
            }
            ("emulated", None) => unavailable("this build has no kernel emulator"),
            _ => Err(Error::UnknownDevice(name.into())),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
        }
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
        for name in ["cuda", "cuda:1", "emulated"] {
            assert!(
                matches!(name.parse::<Device>(), Err(Error::Unavailable { device, .. }) if device == name)
            );
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
