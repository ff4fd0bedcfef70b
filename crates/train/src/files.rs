//! Files that are whole or not there, whatever ends the program.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use crate::error::{Error, Result};

/// Writes a file and waits until it lasts.
///
/// # Errors
/// A file that cannot be written, by its name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(io(path))
}

/// Writes a file whole or not at all: beside its place, then renamed over it.
///
/// # Errors
/// As [`write()`]; the file is then what it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    write(&partial, bytes)?;
    fs::rename(&partial, path).map_err(io(path))?;
    path.parent().map_or(Ok(()), sync)
}

/// Makes names in a folder last.
///
/// # Errors
/// A folder that cannot be opened or synced.
pub(crate) fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

/// For `map_err` on what the file system says about `path`.
pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| fathom_model::Error::Io { path: path.clone(), source }.into()
}
