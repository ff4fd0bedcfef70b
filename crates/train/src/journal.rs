//! A log that grows by lines of JSON, and is cut back to where a run goes on.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    files::{io, replace},
};

/// A file of lines, each one value.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// That at `path`, which need not be there yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Adds a line, in one write.
    ///
    /// # Errors
    /// A file that cannot be written; earlier lines stay.
    pub(crate) fn append(&self, line: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_string(line)
            .map_err(|error| Error::Option { option: "log", what: error.to_string() })?;
        text.push('\n');
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(io(&self.path))
    }

    /// Leaves out the lines that `keep` does not hold to, and what a kill left half-written.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub(crate) fn cut<L: DeserializeOwned>(&self, keep: impl Fn(&L) -> bool) -> Result<()> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(&self.path)(error)),
        };
        let whole = |line: &&str| serde_json::from_str::<L>(line).is_ok_and(|line| keep(&line));
        let kept: String = text.lines().filter(whole).flat_map(|line| [line, "\n"]).collect();
        replace(&self.path, kept.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_half_written_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("log.jsonl");
        let journal = Journal::new(&path);
        journal.cut(|_: &u32| true).unwrap();
        assert!(!path.exists());
        (1..=4).for_each(|line: u32| journal.append(&line).unwrap());
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"st").unwrap();
        journal.cut(|&line: &u32| line <= 3).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
        let nowhere = Journal::new(&place.path().join("no/log.jsonl")).append(&1).unwrap_err().to_string();
        assert!(nowhere.contains("no/log.jsonl"), "{nowhere}");
    }
}
