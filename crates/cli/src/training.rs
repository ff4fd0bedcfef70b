//! What all runs of training show: a bar, and the log of their folder.

use std::{io::IsTerminal as _, path::Path};

use fathom_train::run::LOG;
use indicatif::{ProgressBar, ProgressStyle};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// A bar on standard error, where somebody watches, at `step` of `steps`, below a line about what is trained.
pub(crate) fn progress(what: &str, step: u64, steps: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {elapsed} gone, {eta} to go, {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(steps).with_style(style);
    bar.println(what);
    bar.set_position(step);
    bar.reset_eta();
    bar
}

/// What the log of a run's folder holds so far.
///
/// # Errors
/// A log that cannot be read.
pub(crate) fn lines<L: DeserializeOwned>(folder: &Path) -> Result<Vec<L>> {
    let path = folder.join(LOG);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::File { action: "read", path, source }),
    }
}
