//! The Rust side of `kernels/params.h`, written to OUT_DIR/params.rs as it stands in `src/gpu/params.rs`.

use std::{env, path::PathBuf};

use bindgen::callbacks::{DeriveInfo, ParseCallbacks, TypeKind};

const HEADER: &str = "kernels/params.h";

const OPENING: [&str; 2] = [
    "// The Rust side of kernels/params.h, made by bindgen: scripts/params writes this file anew.",
    "#![allow(dead_code, missing_docs, unreachable_pub, clippy::undocumented_unsafe_blocks)]",
];

pub(crate) fn generate() -> crate::Result {
    println!("cargo::rerun-if-changed={HEADER}");
    println!("cargo::rerun-if-changed=rustfmt.toml");
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("params.rs");
    let format = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?)
        .join("rustfmt.toml");
    let bindings = bindgen::Builder::default()
        .header(HEADER)
        .allowlist_file(HEADER)
        .clang_arg("-fparse-all-comments")
        .parse_callbacks(Box::new(PlainData))
        .derive_default(true)
        .derive_partialeq(true)
        .layout_tests(true)
        .use_core()
        .disable_header_comment()
        .raw_line(OPENING[0])
        .raw_line(OPENING[1])
        .formatter(bindgen::Formatter::Rustfmt)
        .rustfmt_configuration_file(Some(format))
        .generate()
        .map_err(|error| format!("{HEADER}: {error}"))?;
    bindings.write_to_file(&out).map_err(|error| format!("{}: {error}", out.display()))
}

/// Structs are plain bytes: bytemuck's derives refuse one with holes.
#[derive(Debug)]
struct PlainData;

impl ParseCallbacks for PlainData {
    fn add_derives(&self, info: &DeriveInfo<'_>) -> Vec<String> {
        match info.kind {
            TypeKind::Struct => vec!["bytemuck::Pod".into(), "bytemuck::Zeroable".into()],
            _ => Vec::new(),
        }
    }
}
