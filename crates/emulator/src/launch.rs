//! What is launched, and how.

use crate::abi::RawEntry;
use crate::{Report, Site};
use std::ffi::CStr;

/// A host-compiled kernel: what the macro `KERNEL` of the kernels' header leaves in an object file.
#[derive(Clone, Copy)]
pub struct Entry {
    pub(crate) raw: &'static RawEntry,
}

impl Entry {
    /// The entry at the symbol that bears a kernel's name; the build helper writes these calls.
    ///
    /// # Safety
    /// `symbol` is what `KERNEL` defined, in an object that is never unloaded.
    pub const unsafe fn new(symbol: &'static RawEntry) -> Entry {
        Entry { raw: symbol }
    }

    /// The kernel's name.
    pub fn name(&self) -> &'static str {
        // SAFETY: KERNEL stores a string literal.
        unsafe { CStr::from_ptr(self.raw.name) }.to_str().unwrap_or("(a name that is not UTF-8)")
    }

    /// Bytes of its parameter struct.
    pub fn params_bytes(&self) -> usize {
        self.raw.params_bytes as usize
    }

    /// Most threads a block may have, by its launch bounds.
    pub fn max_threads(&self) -> u32 {
        self.raw.max_threads
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The entry called `name`.
///
/// # Errors
/// [`Report::UnknownEntry`] with the names there are.
pub fn find(entries: &[Entry], name: &str) -> Result<Entry, Report> {
    entries.iter().find(|entry| entry.name() == name).copied().ok_or_else(|| Report::UnknownEntry {
        name: name.to_owned(),
        known: entries.iter().map(|entry| entry.name().to_owned()).collect(),
    })
}

/// A grid of blocks to run.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// The kernel.
    pub entry: Entry,
    /// The bytes of its parameter struct; addresses within are the host's.
    pub params: &'a [u8],
    /// Blocks along x, y, z.
    pub grid: [u32; 3],
    /// Threads of a block along x, y, z; at most 1024.
    pub block: [u32; 3],
    /// Dynamic shared memory of a block; at most 227 KiB.
    pub shared_bytes: u32,
}

/// Dynamic shared memory that a block can have on sm_90.
pub(crate) const SHARED_LIMIT: u32 = 227 * 1024;

impl Launch<'_> {
    pub(crate) fn threads(&self) -> usize {
        self.block.iter().map(|&n| n as usize).product()
    }

    /// Holds the launch to what a driver would refuse.
    pub(crate) fn check(&self) -> Result<(), Report> {
        let refuse = |why: String| Err(Report::Launch { kernel: self.entry.name().to_owned(), why });
        let [grid, block] = [self.grid, self.block];
        if self.params.len() != self.entry.params_bytes() {
            return refuse(format!(
                "{} parameter bytes, not {}",
                self.params.len(),
                self.entry.params_bytes()
            ));
        }
        if block.contains(&0) || block[0] > 1024 || block[1] > 1024 || block[2] > 64 || self.threads() > 1024
        {
            return refuse(format!("no block can be {block:?}"));
        }
        if self.threads() > self.entry.max_threads() as usize {
            return refuse(format!(
                "block {block:?} exceeds the bounds' {} threads",
                self.entry.max_threads()
            ));
        }
        if grid.contains(&0) || grid[0] > i32::MAX as u32 || grid[1] > 65535 || grid[2] > 65535 {
            return refuse(format!("no grid can be {grid:?}"));
        }
        if self.shared_bytes > SHARED_LIMIT {
            return refuse(format!("{} bytes of shared memory exceed {SHARED_LIMIT}", self.shared_bytes));
        }
        Ok(())
    }
}

/// When asynchronous copies and products take place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Copies {
    /// As late as the waits allow: what is read too early is still poison.
    #[default]
    Lazy,
    /// As they are issued: what is overwritten too early is gone.
    Eager,
}

/// How a launch is run. A correct kernel gives the same bits under all of them.
#[derive(Debug, Clone)]
pub struct Options {
    /// 0 runs threads in order, each warp as far as it gets; other seeds shuffle them and interrupt them.
    pub seed: u64,
    /// When asynchronous work takes place.
    pub copies: Copies,
    /// Whether to count bank conflicts and sectors; slower.
    pub profile: bool,
    /// A barrier, arrival or wait to leave out, as if it were not in the source.
    pub skip: Option<Site>,
    /// Calls into the emulator that a block may make before it counts as running away.
    pub step_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { seed: 0, copies: Copies::Lazy, profile: false, skip: None, step_limit: 1 << 30 }
    }
}

impl Options {
    /// The ways to run a test that together expose missing barriers and waits: both kinds of copies, each in order and
    /// shuffled by `seeds` seeds.
    pub fn suite(seeds: u64) -> Vec<Options> {
        let one = |copies| move |seed| Options { seed, copies, ..Options::default() };
        (0..=seeds).map(one(Copies::Lazy)).chain((0..=seeds).map(one(Copies::Eager))).collect()
    }
}
