//! What is made of `kernels/` at build time, each under a feature: fatbins for GPUs (`cuda`), host code for the emulator
//! (`emulator`), the Rust side of the parameters (`bindgen`).

use std::process::ExitCode;

#[cfg(feature = "emulator")]
#[path = "build/emulated.rs"]
mod emulated;
#[cfg(feature = "cuda")]
#[path = "build/nvcc.rs"]
mod nvcc;
#[cfg(feature = "bindgen")]
#[path = "build/params.rs"]
mod params;
#[cfg(any(feature = "cuda", feature = "emulator"))]
#[path = "build/sources.rs"]
mod sources;

type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    #[cfg(feature = "bindgen")]
    params::generate()?;
    #[cfg(feature = "emulator")]
    emulated::compile()?;
    #[cfg(feature = "cuda")]
    nvcc::compile()?;
    Ok(())
}
