//! Networks against the published implementations, and in every form a checkpoint may come in.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod chains;
mod forms;
mod generate;
mod huginn;
mod launches;
mod parity;
mod passes;
mod record;
mod score;

use std::path::{Path, PathBuf};

use fathom::Device;

/// The CPU, the emulated GPU, and a GPU where there is one.
fn devices() -> Vec<Device> {
    [Ok(Device::Cpu), Device::emulated(), Device::cuda(0)].into_iter().flatten().collect()
}

/// A folder under the repository's `tests/fixtures`, from the package's, where tests run.
fn fixture(name: &str) -> PathBuf {
    Path::new("../../tests/fixtures").join(name)
}
