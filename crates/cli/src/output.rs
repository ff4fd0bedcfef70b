//! The only place that writes: standard output, progress, whole files and growing files, every failure named.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::{Error, Result};

/// Writes `text` to standard output and flushes it, so that a closed pipe or full disk is noticed.
///
/// # Errors
/// Whatever standard output reports.
pub(crate) fn print(text: &str) -> Result<()> {
    print_to(&mut io::stdout().lock(), text)
}

fn print_to(out: &mut impl Write, text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::Stdout)
}

/// A bar on standard error, where somebody watches, that counts to `count` of what `units` calls.
pub(crate) fn progress(name: &str, count: usize, units: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = format!("{{msg}} {{bar:40}} {{pos}}/{{len}} {units}, {{elapsed}} gone, {{eta}} to go");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count as u64).with_style(style).with_message(name.to_owned())
}

/// A value as indented JSON with a final newline.
///
/// # Errors
/// A value that JSON cannot hold, which none of ours is.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::Engine(e.into()))?;
    text.push('\n');
    Ok(text)
}

/// Puts `bytes` at `path` whole or not at all: a temporary neighbour, synced, then renamed over it.
///
/// # Errors
/// Whatever the file system reports; nothing half-written is left.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    written.map_err(|source| {
        // The first failure is the one to tell; a left-over temporary file does no harm.
        let _ = fs::remove_file(&temporary);
        Error::file("write", path)(source)
    })?;
    // The rename itself lasts through a power cut once the folder is synced; not every file system can.
    if let Some(folder) = path.parent().and_then(|p| File::open(p).ok()) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// How much finished work a power cut may cost; a killed process loses none.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// A file that grows by whole lines.
#[derive(Debug)]
pub(crate) struct Journal<W> {
    path: PathBuf,
    writer: W,
    sync: fn(&W) -> io::Result<()>,
    synced: Instant,
}

impl<W: Write> Journal<W> {
    /// Appends to `writer`, which stands at the end of `path`; `sync` makes what was written durable.
    pub(crate) fn new(path: PathBuf, writer: W, sync: fn(&W) -> io::Result<()>) -> Self {
        Self { path, writer, sync, synced: Instant::now() }
    }

    /// Appends one line in a single write.
    ///
    /// # Errors
    /// Whatever the file system reports; earlier lines stay.
    pub(crate) fn append(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(value).map_err(|e| Error::Engine(e.into()))?;
        line.push('\n');
        self.writer
            .write_all(line.as_bytes())
            .and_then(|()| self.writer.flush())
            .map_err(Error::file("write", &self.path))?;
        if self.synced.elapsed() >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    /// What the lines went to.
    pub(crate) fn into_inner(self) -> W {
        self.writer
    }

    /// Makes every line durable.
    ///
    /// # Errors
    /// Whatever the file system reports.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.synced = Instant::now();
        (self.sync)(&self.writer).map_err(Error::file("write", &self.path))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A disk with room for `room` more bytes.
    pub(crate) struct Filling {
        pub(crate) room: usize,
        pub(crate) held: Vec<u8>,
    }

    impl Write for Filling {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.held.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_under_standard_output_is_one_named_line() {
        let error = print_to(&mut Filling { room: 3, held: Vec::new() }, "answer").unwrap_err().to_string();
        assert!(error.starts_with("cannot write standard output: "), "{error}");
        assert!(!error.contains('\n'));
    }

    #[test]
    fn a_full_disk_under_a_journal_keeps_the_lines_before() {
        let disk = Filling { room: 7, held: Vec::new() };
        let mut journal = Journal::new("runs/questions.jsonl".into(), disk, |_| Ok(()));
        journal.append(&[1]).unwrap();
        let error = journal.append(&[2, 3]).unwrap_err().to_string();
        assert!(error.starts_with("cannot write runs/questions.jsonl: "), "{error}");
        assert!(journal.writer.held.starts_with(b"[1]\n"));
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_failure_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        let missing = folder.path().join("nowhere/report.json");
        let error = write_atomic(&missing, b"three").unwrap_err().to_string();
        assert!(error.contains("nowhere/report.json"), "{error}");
    }
}
