//! The kernels as host code, linked to the crate, and their entries: OUT_DIR/kernels.rs.

use fathom_emulator::build::Kernels;

use crate::{Result, sources};

pub(crate) fn compile() -> Result {
    let files = sources::product()?.into_iter().chain(sources::naive()?);
    let kernels = Kernels::new().include(sources::KERNELS);
    let kernels = files.fold(kernels, |kernels, source| kernels.file(source.path));
    kernels.compile("kernels").map_err(|error| error.to_string())
}
