//! Compiles the tests' kernels, for test builds alone.

#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "src/build.rs"]
mod helper;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_TEST_KERNELS").is_none() {
        return Ok(());
    }
    let names = ["reduce", "gemm", "hopper", "instructions", "faults"];
    let kernels = helper::Kernels::new().include("../../kernels").include("tests/kernels");
    let add = |kernels: helper::Kernels, name| kernels.file(format!("tests/kernels/{name}.cu"));
    let archive =
        names.iter().fold(kernels, add).archive("test_kernels").map_err(|error| error.to_string())?;
    // To the integration tests alone: what else is tested in one build may have kernels of the same names.
    println!("cargo::rustc-link-arg-tests={}", archive.display());
    Ok(())
}
