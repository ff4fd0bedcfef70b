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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_one_line_that_names_the_file() {
        let error = write(Path::new("/dev/full"), b"weights").unwrap_err().to_string();
        assert!(error.contains("/dev/full") && !error.contains('\n'), "{error}");
    }

    #[test]
    fn what_cannot_be_replaced_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log");
        replace(&path, b"one").unwrap();
        // Nothing can be written beside it.
        fs::create_dir(place.path().join("log.partial")).unwrap();
        let error = replace(&path, b"two").unwrap_err().to_string();
        assert!(error.contains("log.partial"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }
}
