//! Options of `fathom trace`.

use std::path::PathBuf;

use clap::Args;
use fathom_search::dataset;
use fathom_search::trace::TraceOptions;

use crate::error::{Error, Result};
use crate::options::{Defaults, ModelOptions, bounded_count, count, deviation, probability, whole};

/// Initial states of recurrent depth at most: their pairs grow as the square.
const STARTS: usize = 8;

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The question, as the model should read it
    #[arg(long, value_name = "TEXT", conflicts_with = "data", required_unless_present = "data")]
    prompt: Option<String>,
    /// Questions: a JSON array or JSON lines of objects with `question` and `answer`
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Only the first K questions of --data
    #[arg(long, value_name = "K", default_value = "1", value_parser = count, allow_negative_numbers = true)]
    limit: usize,
    /// Latent steps, or iterations of a recurrent-depth model, from 2 to 256 [default: the model's]
    #[arg(long, value_parser = steps, allow_negative_numbers = true)]
    steps: Option<usize>,
    /// Trajectories under dropout, and as many under noise
    #[arg(long, value_name = "N", default_value = "16", value_parser = bounded_count, allow_negative_numbers = true)]
    trajectories: usize,
    /// Dropout probability [default: the model's]
    #[arg(long, value_name = "P", value_parser = probability, allow_negative_numbers = true)]
    dropout: Option<f32>,
    /// Standard deviation of the noise [default: the model's]
    #[arg(long, value_name = "STD", value_parser = deviation, allow_negative_numbers = true)]
    noise: Option<f32>,
    /// Seed of all draws
    #[arg(long, default_value = "0", value_parser = whole::<u64>, allow_negative_numbers = true)]
    seed: u64,
    /// Folder for trace.json, trace.safetensors and pictures
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) model: ModelOptions,
    /// Print the content of trace.json
    #[arg(long)]
    pub(super) json: bool,
}

/// A question that is traced.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) index: usize,
    pub(super) question: String,
    /// The right answer, where it is known.
    pub(super) target: Option<f64>,
}

impl TraceArgs {
    /// The questions, in their order.
    ///
    /// # Errors
    /// A blank prompt; data that cannot be used.
    pub(super) fn asked(&self) -> Result<Vec<Asked>> {
        if let Some(prompt) = &self.prompt {
            if prompt.trim().is_empty() {
                return Err(Error::option("--prompt", "is blank"));
            }
            return Ok(vec![Asked { index: 0, question: prompt.clone(), target: None }]);
        }
        let Some(data) = &self.data else { return Ok(Vec::new()) };
        let questions = dataset::read(data)?.questions.into_iter().take(self.limit);
        let asked =
            questions.map(|one| Asked { index: one.index, question: one.question, target: Some(one.target) });
        Ok(asked.collect())
    }

    /// What is recorded, the model's own figures standing in for what is not given.
    pub(super) fn recorded(&self, defaults: &Defaults) -> TraceOptions {
        TraceOptions {
            steps: self.steps.unwrap_or(defaults.steps),
            trajectories: self.trajectories,
            starts: self.trajectories.min(STARTS),
            dropout_p: self.dropout.unwrap_or(defaults.dropout_p),
            noise_std: self.noise.unwrap_or(defaults.noise_std),
            seed: self.seed,
            max_answer_tokens: defaults.max_answer_tokens,
        }
    }
}

/// Parses a number of steps of which a path can be seen.
fn steps(text: &str) -> std::result::Result<usize, String> {
    let known = text.parse().ok().filter(|steps| (2..=256).contains(steps));
    known.ok_or_else(|| "must be a whole number from 2 to 256".to_owned())
}
