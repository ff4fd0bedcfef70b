//! What the benchmarks share: networks, operands on a device, timing, and the tables that sum it up.

pub(crate) mod data;
pub(crate) mod network;
mod peaks;
pub(crate) mod suite;
