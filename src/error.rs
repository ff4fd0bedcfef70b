//! Errors of the tensor layer.

/// What a tensor operation or a device can refuse.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Operands that do not fit each other.
    #[error("{operation}: {what}")]
    Shape {
        /// The operation's name.
        operation: &'static str,
        /// Which operand is off, and how.
        what: String,
    },
    /// A name that is no device.
    #[error("unknown device '{0}' (known: cpu, cuda[:i], emulated)")]
    UnknownDevice(String),
    /// A device that this build or this machine cannot use.
    #[error("device '{device}' is not available: {why}")]
    Unavailable {
        /// The device asked for.
        device: String,
        /// What is missing.
        why: String,
    },
    /// What a device could not do.
    #[error("device '{device}': {what}")]
    Device {
        /// The device.
        device: String,
        /// What it was to do, and what went wrong.
        what: String,
    },
    /// A name that is no data type.
    #[error("unknown data type '{0}' (known: f32, bf16)")]
    UnknownDType(String),
}

/// The tensor layer's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Fails with [`Error::Shape`] unless `holds`.
pub(crate) fn check(operation: &'static str, holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Shape { operation, what: what() }) }
}
