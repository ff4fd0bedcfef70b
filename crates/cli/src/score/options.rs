//! Options of `fathom score`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fathom::{DType, Device};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::options::{count, no_repeats, steps, threads, whole};

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Folder of a recurrent-depth model
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// Items: a JSON array or JSON lines of objects with `question`, `choices` and `answer`
    #[arg(long, value_name = "FILE")]
    pub(super) data: PathBuf,
    /// List of numbers of iterations r
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", value_parser = steps, allow_negative_numbers = true)]
    steps: Vec<usize>,
    /// List of numbers of solved items before each question
    #[arg(long, value_delimiter = ',', default_value = "0", value_parser = steps, allow_negative_numbers = true)]
    shots: Vec<usize>,
    /// Take shots from here; without it the first items of --data are shots, and are not scored
    #[arg(long, value_name = "FILE")]
    pub(super) shots_from: Option<PathBuf>,
    /// What log-likelihoods are divided by before the largest is chosen
    #[arg(long, value_enum, default_value = "none")]
    pub(super) normalise: Normalise,
    /// Only the first K questions that are scored
    #[arg(long, value_name = "K", value_parser = count, allow_negative_numbers = true)]
    pub(super) limit: Option<usize>,
    /// Seed of the initial states
    #[arg(long, default_value = "0", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(super) seed: u64,
    /// Folder for results.jsonl, scores.json and saturation.svg
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(super) device: Device,
    /// Type of weights and products: f32 or bf16
    #[arg(long, default_value = "f32")]
    pub(super) dtype: DType,
    /// Worker threads; all cores if absent. Results do not depend on it
    #[arg(long, value_name = "COUNT", value_parser = threads, allow_negative_numbers = true)]
    pub(super) threads: Option<usize>,
    /// Print the scores as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What the log-likelihood of a choice is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Normalise {
    /// Nothing: the likeliest text wins.
    None,
    /// The choice's number of tokens.
    Tokens,
    /// The choice's number of bytes.
    Bytes,
}

impl Normalise {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Tokens, Self::Bytes];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "log-likelihood",
            Self::Tokens => "log-likelihood a token",
            Self::Bytes => "log-likelihood a byte",
        }
    }
}

impl ScoreArgs {
    /// Numbers of iterations and of shots, each rising.
    ///
    /// # Errors
    /// One that stands twice.
    pub(super) fn lists(&self) -> Result<(Vec<usize>, Vec<usize>)> {
        let rising = |option: &'static str, list: &[usize]| -> Result<Vec<usize>> {
            no_repeats(option, list)?;
            let mut list = list.to_vec();
            list.sort_unstable();
            Ok(list)
        };
        Ok((rising("--steps", &self.steps)?, rising("--shots", &self.shots)?))
    }

    /// How many items of `pool` are solved as shots at most, out of as many as it has.
    ///
    /// # Errors
    /// Fewer items than shots.
    pub(super) fn most_shots(&self, shots: &[usize], pool: usize) -> Result<usize> {
        let most = shots.last().copied().unwrap_or(0);
        if most > pool {
            let what = format!("{most} shots need as many items, and there are {pool}");
            return Err(Error::option("--shots", what));
        }
        Ok(most)
    }
}
