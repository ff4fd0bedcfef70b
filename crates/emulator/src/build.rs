//! For build scripts: compiles kernels with the host's C++ compiler.
//!
//! ```no_run
//! # fn main() -> Result<(), fathom_emulator::build::BuildError> {
//! // build.rs
//! fathom_emulator::build::Kernels::new().include("kernels").file("kernels/scale.cu").compile("kernels")?;
//! # Ok(())
//! # }
//! ```
//!
//! The library is linked to the crate, and `include!(concat!(env!("OUT_DIR"), "/kernels.rs"))` gives it
//! `ENTRIES: &[fathom_emulator::Entry]`, one for each `KERNEL` that the files define.

use std::path::{Path, PathBuf};

/// Why kernels could not be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no C++ compiler.
    #[error(
        "no C++17 compiler: '{0}' cannot be run ({1}). The emulator compiles kernels with it; install g++ or clang++, \
         or name one in CXX"
    )]
    NoCompiler(PathBuf, std::io::Error),
    /// A kernel does not compile; the compiler's words stand above.
    #[error("{0}: {1}")]
    Compile(String, cc::Error),
    /// The list of entries could not be written.
    #[error("{0}: {1}")]
    Write(PathBuf, std::io::Error),
    /// Not called from a build script.
    #[error("OUT_DIR is not set: this is for build scripts")]
    NoOutDir,
}

/// Kernels to compile into one static library.
#[derive(Debug, Default)]
pub struct Kernels {
    files: Vec<PathBuf>,
    includes: Vec<PathBuf>,
}

impl Kernels {
    /// None yet.
    pub fn new() -> Kernels {
        Kernels::default()
    }

    /// Adds a folder of headers; a change in it compiles everything again.
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Kernels {
        self.includes.push(folder.into());
        self
    }

    /// Adds a source file.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Kernels {
        self.files.push(path.into());
        self
    }

    /// Compiles all, links them to the crate as `name`, and writes `name.rs` into OUT_DIR.
    ///
    /// # Errors
    /// [`BuildError`], which says what to do.
    pub fn compile(self, name: &str) -> Result<(), BuildError> {
        let archive = self.archive(name)?;
        if let Some(folder) = archive.parent() {
            println!("cargo::rustc-link-search=native={}", folder.display());
        }
        println!("cargo::rustc-link-lib=static={name}");
        Ok(())
    }

    /// Compiles all into a static library, for the caller to link, and writes `name.rs` into OUT_DIR.
    ///
    /// Always with optimisation, since kernels without it are several times slower, and without contraction to fused
    /// multiply-adds or instructions of this machine alone, so that bits are the same everywhere.
    ///
    /// # Errors
    /// [`BuildError`], which says what to do.
    pub fn archive(self, name: &str) -> Result<PathBuf, BuildError> {
        let emulator = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
        let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(BuildError::NoOutDir)?);
        let mut build = cc::Build::new();
        build.cpp(true).std("c++17").opt_level(2).warnings(false).cargo_metadata(false);
        build.flags(["-x", "c++", "-ffp-contract=off", "-fno-exceptions", "-fno-rtti"]);
        for folder in self.includes.iter().chain([&emulator]) {
            build.include(folder);
            println!("cargo::rerun-if-changed={}", folder.display());
        }
        for variable in ["CXX", "CXXFLAGS"] {
            println!("cargo::rerun-if-env-changed={variable}");
        }
        let failed = |file: &str| {
            let file = file.to_owned();
            move |error| BuildError::Compile(file, error)
        };
        let compiler = build.try_get_compiler().map_err(failed(name))?;
        let absent = |error| BuildError::NoCompiler(compiler.path().to_owned(), error);
        compiler.to_command().arg("--version").output().map_err(absent)?;

        let mut entries = Vec::new();
        for file in &self.files {
            println!("cargo::rerun-if-changed={}", file.display());
            let mut one = build.clone();
            let source = one.file(file).try_expand().map_err(failed(&file.display().to_string()))?;
            entries.extend(names(&String::from_utf8_lossy(&source)));
        }
        build.files(&self.files).try_compile(name).map_err(failed(name))?;

        let list = out.join(format!("{name}.rs"));
        std::fs::write(&list, rust(&entries)).map_err(|error| BuildError::Write(list, error))?;
        Ok(out.join(format!("lib{name}.a")))
    }
}

/// The kernels that a preprocessed source defines: what `KERNEL` of kernel.h declares.
fn names(source: &str) -> Vec<String> {
    let declared = source.split("extern \"C\" const emu::Entry ").skip(1);
    declared.filter_map(|rest| rest.split_once(';')).map(|(name, _)| name.trim().to_owned()).collect()
}

fn rust(entries: &[String]) -> String {
    let symbols: String =
        entries.iter().map(|name| format!("    static {name}: ::fathom_emulator::RawEntry;\n")).collect();
    let list: String = entries
        .iter()
        .map(|name| {
            format!("    // SAFETY: defined by KERNEL, linked for good.\n    unsafe {{ ::fathom_emulator::Entry::new(&{name}) }},\n")
        })
        .collect();
    format!(
        "#[allow(non_upper_case_globals)]\nunsafe extern \"C\" {{\n{symbols}}}\n\
         /// The kernels compiled for the emulator.\n\
         pub static ENTRIES: &[::fathom_emulator::Entry] = &[\n{list}];\n"
    )
}
