//! What is made of `kernels/` at build time: one job a feature.

#[cfg(feature = "bindgen")]
#[path = "build/params.rs"]
mod params;

type Result = std::result::Result<(), String>;

fn main() -> Result {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    #[cfg(feature = "bindgen")]
    params::generate()?;
    Ok(())
}
