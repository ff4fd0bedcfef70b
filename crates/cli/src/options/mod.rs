//! Options that `solve` and `eval` share: which model, and how its thought is searched.

mod search;
mod values;

use std::path::PathBuf;

use clap::Args;
use fathom::{DType, Device};

pub(crate) use search::{Defaults, SearchArgs, no_repeats};
pub(crate) use values::{bounded_count, count, deviation, probability, range, steps, threads, whole};

use crate::error::{Error, Result};

/// Which model runs, and on what.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelOptions {
    /// Model folder; the embedded model if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) model: Option<PathBuf>,
    /// LatentRM folder, for best-of-n, weighted and beam
    #[arg(long, value_name = "DIR")]
    pub(crate) reward: Option<PathBuf>,
    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Device,
    /// Type of weights and products: f32 or bf16
    #[arg(long, default_value = "f32")]
    pub(crate) dtype: DType,
    /// Worker threads; all cores if absent. Results do not depend on it
    #[arg(long, value_name = "COUNT", value_parser = threads, allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
}

impl ModelOptions {
    /// Starts the worker threads, of which the calling one is the first: what it does between parallel loops then stays
    /// where the loops run. Once a process, before any work.
    ///
    /// # Errors
    /// Threads that the system refuses.
    pub(crate) fn start_threads(&self) -> Result<()> {
        start_threads(self.threads)
    }
}

/// As [`ModelOptions::start_threads`], of a given number; all cores where there is none.
///
/// # Errors
/// Threads that the system refuses.
pub(crate) fn start_threads(threads: Option<usize>) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        // 0 is all cores.
        .num_threads(threads.unwrap_or(0))
        .use_current_thread()
        .build_global()
        .map_err(|e| Error::option("--threads", e.to_string()))
}
