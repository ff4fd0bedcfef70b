//! A sweep: the same questions under several perturbations, each a run in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::report::Report;
use super::setup::{Setup, point_names};
use super::{folder, sweep_picture};
use crate::error::{Error, Result};
use crate::output;

/// Name of the file that holds every report of a sweep.
pub(super) const SUMMARY: &str = "sweep.json";
const PICTURE: &str = "sweep.svg";

/// The content of [`SUMMARY`].
#[derive(Debug, Serialize)]
pub(super) struct Sweep<'a> {
    /// In the order in which they were asked for.
    pub(super) runs: &'a [Report],
}

/// Claims `path` for a sweep and a subfolder for each of its runs `names`.
///
/// # Errors
/// As [`folder::claim`] for each; a folder that holds a single run.
pub(super) fn claim(path: &Path, names: &[String], resume: bool) -> Result<Vec<PathBuf>> {
    if path.join(folder::SETUP).exists() {
        return Err(Error::content(path, "holds a single run; give a sweep a folder of its own"));
    }
    if path.join(SUMMARY).exists() && !resume {
        let what = format!("already holds {SUMMARY}; name another folder, or go on with eval --resume");
        return Err(Error::content(path, what));
    }
    if let Some(stranger) = stranger(path, names)? {
        let what = format!("holds a run of {stranger}, which this sweep does not have; name another folder");
        return Err(Error::content(path, what));
    }
    let folders: Vec<PathBuf> = names.iter().map(|name| path.join(name)).collect();
    for each in &folders {
        folder::claim(each, resume)?;
    }
    Ok(folders)
}

/// A run in `path` that is none of `names`: it belongs to another sweep.
fn stranger(path: &Path, names: &[String]) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    let entries = fs::read_dir(path).map_err(Error::file("read", path))?.flatten();
    let runs = entries.into_iter().filter(|entry| entry.path().join(folder::SETUP).exists());
    let mut runs = runs.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(runs.find(|name| !names.contains(name)))
}

/// Writes the reports so far and their picture.
///
/// # Errors
/// Whatever the file system reports.
pub(super) fn write(path: &Path, runs: &[Report]) -> Result<()> {
    output::write_atomic(&path.join(SUMMARY), output::json(&Sweep { runs })?.as_bytes())?;
    let file = path.join(PICTURE);
    let svg = sweep_picture::draw(runs).map_err(|what| Error::content(&file, what))?;
    output::write_atomic(&file, svg.as_bytes())
}

/// As much of [`SUMMARY`] as tells its runs apart.
#[derive(Debug, Deserialize)]
struct Recorded {
    runs: Vec<RecordedRun>,
}

#[derive(Debug, Deserialize)]
struct RecordedRun {
    options: Setup,
}

/// Names of the runs' folders in the finished sweep at `path`, in its order.
///
/// # Errors
/// A folder without a sweep's summary.
pub(super) fn members(path: &Path) -> Result<Vec<String>> {
    let file = path.join(SUMMARY);
    let text = fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let recorded: Recorded =
        serde_json::from_str(&text).map_err(|e| Error::content(&file, format!("not a sweep: {e}")))?;
    Ok(point_names(recorded.runs.iter().map(|run| &run.options.search)))
}
