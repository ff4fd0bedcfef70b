//! What an annotation is told: a TOML file.

use std::path::{Path, PathBuf};

use fathom_model::{config::Config, load::Model, perturbation::Perturbation};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    toml_file,
};

/// How trajectories of a question are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sampling {
    /// Of all draws.
    #[serde(default)]
    pub seed: u64,
    /// N, trajectories a question.
    pub trajectories: usize,
    /// What makes them differ.
    pub perturbation: Perturbation,
    /// Latents T, the most of a model that ends by itself, or iterations r; the model's own number where absent.
    #[serde(default)]
    pub steps: Option<usize>,
    /// Longest answer in tokens.
    #[serde(default = "published_budget")]
    pub max_answer_tokens: usize,
}

/// The published budget of 64 new tokens without six latents and their end (spec latenttts §1.1).
fn published_budget() -> usize {
    57
}

impl Sampling {
    /// T or r for `model`.
    pub fn steps(&self, model: &Model) -> usize {
        /// Of the published models on GPT-2 (spec latenttts §1.2).
        const PUBLISHED: usize = 6;
        let own = match &model.config {
            Config::Huginn(config) => config.mean_recurrence,
            Config::Gpt2(_) | Config::Llama(_) => PUBLISHED,
        };
        self.steps.or(model.defaults.latent_length).unwrap_or(own)
    }

    /// The key at fault, below `[sampling]` or another table, and why.
    pub(crate) fn check(&self) -> std::result::Result<(), (&'static str, &'static str)> {
        /// Beyond it a number is a slip of the keyboard.
        const MOST: usize = 1 << 16;
        if !(1..=MOST).contains(&self.trajectories) {
            return Err(("trajectories", "is not from 1 to 65536"));
        }
        if self.max_answer_tokens == 0 {
            return Err(("max-answer-tokens", "is not positive"));
        }
        if self.steps == Some(0) {
            return Err(("steps", "is not positive"));
        }
        match self.perturbation {
            Perturbation::Dropout { p, .. } if !(p > 0.0 && p < 1.0) => {
                Err(("perturbation.p", "is not between 0 and 1"))
            }
            Perturbation::Noise { std, .. } if !(std > 0.0 && std.is_finite()) => {
                Err(("perturbation.std", "is not a positive number"))
            }
            Perturbation::Dropout { .. } | Perturbation::Noise { .. } | Perturbation::State => Ok(()),
            Perturbation::None => Err(("perturbation.sampler", "is none: trajectories would not differ")),
        }
    }
}

/// Which questions are kept; of the others a marker is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Those with right and wrong trajectories, as published.
    #[default]
    Mixed,
    /// All.
    All,
}

/// An annotation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnnotateConfig {
    /// The generator's folder.
    pub model: PathBuf,
    /// Questions with answers.
    pub data: PathBuf,
    /// Only so many from the start.
    #[serde(default)]
    pub questions: Option<usize>,
    /// M, rollouts a step.
    #[serde(default = "published_rollouts")]
    pub rollouts: usize,
    /// Which questions are kept.
    #[serde(default)]
    pub keep: Keep,
    /// Questions a file: what a kill may cost.
    #[serde(default = "sixty_four")]
    pub questions_a_file: usize,
    /// How trajectories and rollouts are drawn.
    pub sampling: Sampling,
}

/// M of the released script (spec latenttts §9.17).
fn published_rollouts() -> usize {
    64
}

fn sixty_four() -> usize {
    64
}

impl AnnotateConfig {
    /// Reads and checks a file; paths in it are meant from its folder.
    ///
    /// # Errors
    /// Names the file, and the key that is absent, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let mut config: Self = toml_file::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut config.model, &mut config.data] {
            *path = folder.join(&*path);
        }
        let wrong = |field: &str, what: &str| {
            let (path, field) = (path.display().to_string(), field.to_owned());
            Error::from(fathom_model::Error::Config { path, field, what: what.to_owned() })
        };
        let positive = [
            ("questions", config.questions.unwrap_or(1)),
            ("rollouts", config.rollouts),
            ("questions-a-file", config.questions_a_file),
        ];
        if let Some((field, _)) = positive.into_iter().find(|&(_, value)| value == 0) {
            return Err(wrong(field, "is not positive"));
        }
        config.sampling.check().map_err(|(field, what)| wrong(&format!("sampling.{field}"), what))?;
        // Trajectory n·M + m of the rollouts' stream is a word of a counter.
        if config.rollouts.saturating_mul(config.sampling.trajectories) > u32::MAX as usize {
            return Err(wrong("rollouts", "times trajectories is more than a counter holds"));
        }
        Ok(config)
    }
}
