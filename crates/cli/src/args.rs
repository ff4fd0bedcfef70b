//! The grammar of the command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fathom::Device;
use fathom_train::data::Operation;

use crate::eval::setup::Shard;
use crate::generate::GenerateArgs;
use crate::options::{ModelOptions, SearchArgs, bounded_count, count, range, threads, whole};
use crate::score::ScoreArgs;
use crate::trace::TraceArgs;

/// Parallel test-time scaling for models that reason in latent space.
#[derive(Debug, Parser)]
#[command(name = "fathom", version, about, arg_required_else_help = true, max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer one question with N trajectories
    Solve(SolveArgs),
    /// Evaluate a data set: coverage, accuracy of each aggregation, diversity
    Eval(EvalArgs),
    /// Join the folders of `eval --shard 1/M` … `M/M` into the report of the whole
    Merge(MergeArgs),
    /// Continue prompts with a recurrent-depth model: exits, drafts, wavefronts, sampling
    Generate(GenerateArgs),
    /// Score multiple-choice questions with a recurrent-depth model, at several r and numbers of shots
    Score(ScoreArgs),
    /// Record latents by token and step, and draw how they settle, move and spread
    Trace(TraceArgs),
    /// Compare every tensor of a folder's reference.safetensors with our own
    Parity(ParityArgs),
    /// Train a model as a configuration says, or go on where a run stopped
    #[command(after_help = TRAIN_KEYS)]
    Train(TrainArgs),
    /// Value the steps of trajectories by rollouts: what a reward model learns from
    Annotate(AnnotateArgs),
    /// Train a reward model on annotations, or go on where a run stopped
    TrainRm(TrainArgs),
    /// Compare reward models of several depths, on annotations of several numbers of rollouts
    StudyRm(StudyArgs),
    /// Generate arithmetic word problems with worked steps, for training, validation and test
    MakeData(MakeDataArgs),
    /// Describe a model: architecture, parameters, special tokens, memory
    Info(InfoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SolveArgs {
    /// The question, as the model should read it
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Questions: a JSON array or JSON lines of objects with `question` and `answer`
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// Only the first K questions
    #[arg(long, value_name = "K", value_parser = count, allow_negative_numbers = true)]
    pub(crate) limit: Option<usize>,
    /// Folder for report.json, questions.jsonl and pictures
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in --out, or start one if there is none
    #[arg(long, requires = "out")]
    pub(crate) resume: bool,
    /// Only every M-th question, from the I-th on (I from 1 to M)
    #[arg(long, value_name = "I/M")]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// The --out folders of all shards, in any order
    #[arg(value_name = "DIR", required = true)]
    pub(crate) folders: Vec<PathBuf>,
    /// Folder for the joined run
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ParityArgs {
    /// Folder with config.json, model.safetensors and reference.safetensors
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Device,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The keys of a configuration, in short.
const TRAIN_KEYS: &str = "\
Keys of the configuration (docs/training.md says more):
  seed, steps, batch
  [model]      folder, weights
  [data]       train, valid, validate
  [method]     kind = \"recurrent-depth\": recurrence { mean, backprop, sigma }, targets, written-steps,
                      packing { length, keep-all, mask }, validate-at
               kind = \"coconut\": stages [{ until, skip, thoughts }], dropout
               kind = \"codi\": thoughts, teacher, distillation, last-step, dropout
               kind = \"colar\": speeds, latents, dropout
  [optimizer]  lr, clip, rule { kind = \"adamw\" or \"ellis-adam\", betas, eps, weight-decay }
  [schedule]   shape = \"trapezoid\": warmup, cooldown; shape = \"cosine\": warmup, floor
  [progress]   log, validate, checkpoint";

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// What to train how: a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder for checkpoints, log.jsonl and curves.svg; a run that stopped there goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Device,
    /// Worker threads; all cores if absent. Results do not depend on it
    #[arg(long, value_name = "COUNT", value_parser = threads, allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct AnnotateArgs {
    /// Which model, data set and rollouts: a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder for shards and logs; an annotation that stopped there goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Only every M-th question, from the I-th on (I from 1 to M); the parts may share a folder
    #[arg(long, value_name = "I/M")]
    pub(crate) shard: Option<Shard>,
    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Device,
    /// Worker threads; all cores if absent. Results do not depend on it
    #[arg(long, value_name = "COUNT", value_parser = threads, allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StudyArgs {
    /// Which configurations, depths and numbers of rollouts: a TOML file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder for annotations, models, study.json, study.md and study.svg; a study that stopped there goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(crate) device: Device,
    /// Worker threads; all cores if absent. Results do not depend on it
    #[arg(long, value_name = "COUNT", value_parser = threads, allow_negative_numbers = true)]
    pub(crate) threads: Option<usize>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MakeDataArgs {
    /// Folder for train.jsonl, valid.jsonl, test.jsonl, tokenizer.json and data.json
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Seed; which split a question belongs to does not depend on it
    #[arg(long, default_value = "0", value_parser = whole::<u64>, allow_negative_numbers = true)]
    pub(crate) seed: u64,
    /// Problems for training
    #[arg(long, value_name = "COUNT", default_value = "100000", allow_negative_numbers = true)]
    pub(crate) train: usize,
    /// Problems for validation
    #[arg(long, value_name = "COUNT", default_value = "1000", allow_negative_numbers = true)]
    pub(crate) valid: usize,
    /// Problems for the test
    #[arg(long, value_name = "COUNT", default_value = "4000", allow_negative_numbers = true)]
    pub(crate) test: usize,
    /// Worked steps of a problem, from 1..1 to 8..8
    #[arg(long, value_name = "A..B", default_value = "1..3", value_parser = range, allow_hyphen_values = true)]
    pub(crate) steps: RangeInclusive<u32>,
    /// Numbers that sentences state, factors aside
    #[arg(long, value_name = "A..B", default_value = "2..30", value_parser = range, allow_hyphen_values = true)]
    pub(crate) numbers: RangeInclusive<u32>,
    /// Stated factors and divisors, from 2..2 to 9..9
    #[arg(long, value_name = "A..B", default_value = "2..5", value_parser = range, allow_hyphen_values = true)]
    pub(crate) factors: RangeInclusive<u32>,
    /// Persons whose things are counted, from 1..1 to 4..4; at most one more than steps
    #[arg(long, value_name = "A..B", default_value = "1..2", value_parser = range, allow_hyphen_values = true)]
    pub(crate) persons: RangeInclusive<u32>,
    /// The largest result of a step
    #[arg(long, value_name = "M", default_value = "999", allow_negative_numbers = true)]
    pub(crate) limit: u32,
    /// Kinds of sentences and questions: add, sub, mul, double, half, divide, groups, compare, transfer, total,
    /// difference
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Operation::ALL, hide_default_value = true)]
    pub(crate) operations: Vec<Operation>,
    /// The most sentences of a problem that do not matter, up to 4
    #[arg(long, value_name = "COUNT", default_value = "0", allow_negative_numbers = true)]
    pub(crate) distractors: u32,
    /// The most operations that are written as one worked step
    #[arg(long, value_name = "COUNT", default_value = "1", allow_negative_numbers = true)]
    pub(crate) joined: u32,
    /// Replace other data in --out
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Model folder; the embedded model if absent
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Trajectories that the memory estimate is for
    #[arg(short, default_value = "16", value_parser = bounded_count, allow_negative_numbers = true)]
    pub(crate) n: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A usage error of clap's without its hints, usage lines and leading `error:`.
pub(crate) fn usage_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    said.join(" ").trim_start_matches("error:").trim_start().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_errors_are_one_line_that_names_the_argument() {
        let cases: [(&[&str], &str); 5] = [
            (&["fathom", "solve"], "<QUESTION>"),
            (&["fathom", "eval", "--data", "x", "--resume"], "--out"),
            (&["fathom", "solve", "q", "--dtype", "f64"], "known: f32, bf16"),
            (&["fathom", "sovle", "q"], "sovle"),
            (&["fathom", "eval", "--data", "x", "--shard", "3/2"], "--shard"),
        ];
        for (arguments, expected) in cases {
            let line = usage_line(&Arguments::try_parse_from(arguments).unwrap_err());
            assert!(line.contains(expected), "{arguments:?}: {line}");
            assert!(!line.contains('\n') && !line.contains("Usage") && !line.starts_with("error"), "{line}");
        }
    }
}
