//! Options of `fathom generate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fathom::{DType, Device};
use fathom_model::{
    generate::{Carry, Draft, ExitRule, Freeze, Preset, Sampling, Settings, Wave},
    huginn::{CachePolicy, Criterion, Huginn},
};

use crate::error::{Error, Result};
use crate::options::{bounded_count, count, steps, threads, whole};

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Prompts; each is continued
    #[arg(value_name = "PROMPT")]
    pub(super) prompts: Vec<String>,
    /// Folder of a recurrent-depth model
    #[arg(long, value_name = "DIR")]
    pub(super) model: PathBuf,
    /// Questions with answers in place of prompts: reports how many are right
    #[arg(long, value_name = "FILE", conflicts_with = "prompts")]
    pub(super) data: Option<PathBuf>,
    /// Only the first K questions of --data
    #[arg(long, value_name = "K", requires = "data", value_parser = count, allow_negative_numbers = true)]
    pub(super) limit: Option<usize>,
    /// How a prompt is put: as a chat turn, plain, or as the tokenizer knows
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) template: Template,
    /// What the system says before a chat turn
    #[arg(long, value_name = "TEXT")]
    pub(super) system: Option<String>,
    /// Ends the text before this string; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(super) stop: Vec<String>,
    /// Tokens of a continuation at most
    #[arg(long, value_name = "TOKENS", default_value = "256", value_parser = bounded_count, allow_negative_numbers = true)]
    max_tokens: usize,
    /// Prompts that go through the network together
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = bounded_count, allow_negative_numbers = true)]
    pub(super) batch: usize,

    /// Iterations r, at most with --exit [default: the model's]
    #[arg(long, value_parser = steps, allow_negative_numbers = true)]
    steps: Option<usize>,
    /// Keys and values of iterations: full or skip, latest-m4 or available-m4, always-last-m4, latest-m4-compress-sK,
    /// latest-m4-compress-anchor [default: full; with --wave latest-m4-compress-s of one iteration]
    #[arg(long, value_name = "NAME")]
    cache: Option<String>,
    /// Stop iterating a token by this criterion: entropy-diff, latent-diff, kl, minp-kl, argmax-stability, cosine,
    /// second-difference
    #[arg(long, value_name = "NAME")]
    exit: Option<Criterion>,
    /// The criterion's threshold [default: the published one]; with --wave that of a state at rest
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    threshold: Option<f32>,
    /// Iterations before the first check
    #[arg(long, value_name = "T", default_value = "0", requires = "exit", value_parser = steps, allow_negative_numbers = true)]
    min_steps: usize,
    /// Iterations from one check to the next
    #[arg(long, value_name = "T", default_value = "1", requires = "exit", value_parser = steps, allow_negative_numbers = true)]
    every: usize,
    /// Lets the prompt exit too, as a whole
    #[arg(long, requires = "exit")]
    exit_in_prompt: bool,
    /// First state of a token: fresh, or the state of the one before it, raw or normed
    #[arg(long, value_enum, default_value = "fresh")]
    carry: CarryName,
    /// Factor on fresh states; 0 begins with zeros
    #[arg(long, value_name = "X", default_value = "1", allow_negative_numbers = true)]
    initial: f32,

    /// Draft tokens at this many iterations and verify them together
    #[arg(long, value_name = "R", conflicts_with = "wave", value_parser = steps, allow_negative_numbers = true)]
    draft: Option<usize>,
    /// Tokens that are drafted before they are verified
    #[arg(long, value_name = "TOKENS", default_value = "8", requires = "draft", value_parser = bounded_count, allow_negative_numbers = true)]
    lookahead: usize,
    /// Accept drafts at least this share as likely as the likeliest token; at 1 the text is as without
    /// drafts where the cache keeps iterations apart
    #[arg(long, value_name = "X", default_value = "1", requires = "draft", allow_negative_numbers = true)]
    accept: f32,

    /// Decode as a wavefront, this many iterations a round
    #[arg(long, value_name = "R", value_parser = steps, allow_negative_numbers = true)]
    wave: Option<usize>,
    /// What freezes a position of the wave
    #[arg(long, value_enum, default_value = "latent-diff", requires = "wave")]
    freeze: FreezeName,
    /// Positions added a round
    #[arg(long, value_name = "COUNT", default_value = "1", requires = "wave", value_parser = bounded_count, allow_negative_numbers = true)]
    headway: usize,
    /// Positions of the wave at most
    #[arg(long, value_name = "COUNT", default_value = "128", requires = "wave", value_parser = bounded_count, allow_negative_numbers = true)]
    wave_width: usize,
    /// Share of the last round's input that is kept
    #[arg(long, value_name = "X", default_value = "0.1", requires = "wave", allow_negative_numbers = true)]
    ema: f32,
    /// Share of fresh state mixed into the wave
    #[arg(long, value_name = "X", default_value = "0", requires = "wave", allow_negative_numbers = true)]
    wave_noise: f32,

    /// Divides logits; 0 takes the likeliest token
    #[arg(long, value_name = "X", default_value = "0", allow_negative_numbers = true)]
    temperature: f32,
    /// Samples among the K likeliest; 0 is all
    #[arg(long, value_name = "K", default_value = "0", value_parser = whole::<usize>, allow_negative_numbers = true)]
    top_k: usize,
    /// Samples among the likeliest tokens up to this share
    #[arg(long, value_name = "P", default_value = "1", allow_negative_numbers = true)]
    top_p: f32,
    /// Samples among tokens at least this share as likely as the likeliest
    #[arg(long, value_name = "P", default_value = "0", allow_negative_numbers = true)]
    min_p: f32,
    /// Makes tokens of the text less likely
    #[arg(long, value_name = "X", default_value = "1", allow_negative_numbers = true)]
    repetition_penalty: f32,
    /// Seed of all draws
    #[arg(long, default_value = "0", value_parser = whole::<u64>, allow_negative_numbers = true)]
    seed: u64,
    /// strict, or reference: the published code as it runs, its defects included
    #[arg(long, value_enum, default_value = "strict")]
    preset: PresetName,

    /// cpu, cuda, cuda:I or emulated
    #[arg(long, default_value = "cpu")]
    pub(super) device: Device,
    /// Type of weights and products: f32 or bf16
    #[arg(long, default_value = "f32")]
    pub(super) dtype: DType,
    /// Worker threads; all cores if absent. Results do not depend on it
    #[arg(long, value_name = "COUNT", value_parser = threads, allow_negative_numbers = true)]
    pub(super) threads: Option<usize>,
    /// Print texts, steps by token and cost as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// How a prompt is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    Auto,
    Chat,
    Plain,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CarryName {
    Fresh,
    Raw,
    Normed,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FreezeName {
    LatentDiff,
    Fixed,
    TokenStability,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PresetName {
    Strict,
    Reference,
}

/// How tokens come about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Lanes,
    Draft(Draft),
    Wave(Wave),
}

impl GenerateArgs {
    /// For a model that is read; `depth` is its own r.
    ///
    /// # Errors
    /// An unknown cache strategy, options that do not go together.
    pub(super) fn resolve(&self, model: &Huginn, depth: usize) -> Result<(Settings, Way)> {
        let name = match (&self.cache, self.wave) {
            (Some(name), _) => name.clone(),
            (None, Some(_)) => format!("latest-m4-compress-s{}", model.core_blocks()),
            (None, None) => "full".to_owned(),
        };
        let cache = CachePolicy::from_name(&name, model.core_blocks()).map_err(|cause| match cause {
            fathom_model::Error::Option { what, .. } => Error::option("--cache", what),
            other => Error::Engine(other.into()),
        })?;
        if self.threshold.is_some() && self.exit.is_none() && self.wave.is_none() {
            return Err(Error::option("--threshold", "needs --exit or --wave"));
        }
        if self.wave.is_some() && self.batch > 1 {
            return Err(Error::option("--batch", "a wave is one prompt's"));
        }
        let exit = self.exit.map(|criterion| ExitRule {
            threshold: self.threshold.unwrap_or(criterion.default_threshold()),
            min_steps: self.min_steps,
            every: self.every,
            in_prompt: self.exit_in_prompt,
            ..ExitRule::new(criterion)
        });
        let settings = Settings {
            cache,
            exit,
            carry: match self.carry {
                CarryName::Fresh => Carry::Fresh,
                CarryName::Raw => Carry::Raw,
                CarryName::Normed => Carry::Normed,
            },
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                min_p: self.min_p,
                repetition_penalty: self.repetition_penalty,
            },
            initial: self.initial,
            seed: self.seed,
            preset: match self.preset {
                PresetName::Strict => Preset::Strict,
                PresetName::Reference => Preset::Reference,
            },
            ..Settings::new(self.steps.unwrap_or(depth), self.max_tokens)
        };
        let way = match (self.draft, self.wave) {
            (Some(steps), _) => {
                Way::Draft(Draft { steps, lookahead: self.lookahead, threshold: self.accept })
            }
            (_, Some(inner)) => Way::Wave(Wave {
                inner,
                freeze: match self.freeze {
                    FreezeName::LatentDiff => Freeze::LatentDiff,
                    FreezeName::Fixed => Freeze::Fixed,
                    FreezeName::TokenStability => Freeze::TokenStability,
                },
                threshold: self.threshold.unwrap_or(Wave::default().threshold),
                headway: self.headway,
                width: self.wave_width,
                ema: self.ema,
                noise: self.wave_noise,
            }),
            (None, None) => Way::Lanes,
        };
        Ok((settings, way))
    }
}
