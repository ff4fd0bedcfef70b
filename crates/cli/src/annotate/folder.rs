//! The folder of an annotation: its setup, then whole files. Parts of one data set lie in one folder side by side.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;

use fathom_train::annotate::Setup;

use crate::error::{Error, Result};
use crate::eval::setup::require_same;
use crate::output::{self, Journal};

/// Begins the annotation `setup` in `path`, or continues it there; returns its log, locked against a second process.
///
/// # Errors
/// Another setup than the recorded one, with its first difference; a folder that cannot be written; a part that another
/// process is at.
pub(super) fn open(path: &Path, setup: &Setup) -> Result<Journal<File>> {
    fs::create_dir_all(path).map_err(Error::file("create", path))?;
    let log = path.join(format!("log_on{}.jsonl", setup.rank()));
    let file = OpenOptions::new().create(true).append(true).open(&log).map_err(Error::file("open", &log))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(Error::content(&log, "another process is writing it"));
    }
    let recorded = path.join(setup.name());
    if recorded.exists() {
        let text = fs::read_to_string(&recorded).map_err(Error::file("read", &recorded))?;
        require_same(setup, &recorded, &text)?;
    } else {
        output::write_atomic(&recorded, output::json(setup)?.as_bytes())?;
    }
    Ok(Journal::new(log, file, File::sync_data))
}
