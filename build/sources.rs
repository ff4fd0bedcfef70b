//! The kernel files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::Result;

/// Where they stand; a file of its folder `naive` is what tests compare with.
pub(crate) const KERNELS: &str = "kernels";

/// A file of kernels.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Its path below `kernels`, without the extension.
    #[allow(dead_code, reason = "the emulator names kernels alone")]
    pub(crate) stem: String,
}

/// The kernels of the product, by name.
pub(crate) fn product() -> Result<Vec<Source>> {
    sources(Path::new(KERNELS), "")
}

/// The naive kernels, by name, where they are: a published package may leave them out.
pub(crate) fn naive() -> Result<Vec<Source>> {
    let folder = Path::new(KERNELS).join("naive");
    if folder.is_dir() { sources(&folder, "naive/") } else { Ok(Vec::new()) }
}

fn sources(folder: &Path, prefix: &str) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = files(folder)?
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "cu"))
        .filter_map(|path| {
            let stem = format!("{prefix}{}", path.file_stem()?.to_str()?);
            Some(Source { path, stem })
        })
        .collect();
    sources.sort_by(|one, other| one.stem.cmp(&other.stem));
    Ok(sources)
}

/// What stands in a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let failed = |error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}
