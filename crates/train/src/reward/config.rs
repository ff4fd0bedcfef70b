//! What the training of a reward model is told: a TOML file.

use std::path::{Path, PathBuf};

use fathom_model::config::StepScore;
use serde::{Deserialize, Serialize};

use crate::{
    annotate::Sampling,
    error::{Error, Result},
    run::{OptimizerConfig, Progress},
    schedule::Schedule,
    toml_file,
};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RewardConfig {
    /// Of the head's first values and the order of questions.
    pub seed: u64,
    /// Steps in all; with none the head stays as it begins.
    pub steps: u64,
    /// Questions a step, each with all of its trajectories.
    pub batch: usize,
    /// The generator's folder, whose body it begins with.
    pub model: PathBuf,
    /// Folders of annotations.
    pub annotations: Vec<PathBuf>,
    /// Layers of the body that are kept, the first ones; all where absent.
    #[serde(default)]
    pub layers: Option<usize>,
    /// Iterations of the core over every row, of a generator of recurrent depth; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// What is minimised.
    #[serde(default)]
    pub loss: Loss,
    /// What the scores of a trajectory should say.
    #[serde(default)]
    pub labels: Labels,
    /// Validations without a better one after which the run ends; none where absent.
    #[serde(default)]
    pub patience: Option<u64>,
    /// How it is validated.
    pub validation: Validation,
    /// How gradients become steps.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// What is told on the way, and kept.
    #[serde(default)]
    pub progress: Progress,
}

/// What is minimised (spec latenttts §3.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// At each step the trajectories of a question against each other.
    #[default]
    Contrastive,
    /// The binary cross-entropy of every logit by itself.
    Bce,
}

impl Loss {
    /// What a logit that it trained counts as.
    pub fn step_score(self) -> StepScore {
        match self {
            Self::Contrastive => StepScore::Logit,
            Self::Bce => StepScore::LogSigmoid,
        }
    }
}

/// What labels are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// ỹ_t, the share of rollouts behind z_t that are right.
    #[default]
    Rollouts,
    /// Whether the trajectory itself ends right, at every step.
    Final,
}

/// Questions to choose on: the accuracy of the best of N trajectories, which are drawn once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Validation {
    /// Questions with answers, others than those that were annotated.
    pub data: PathBuf,
    /// Only so many from the start.
    #[serde(default)]
    pub questions: Option<usize>,
    /// How trajectories are drawn.
    pub sampling: Sampling,
}

impl RewardConfig {
    /// Reads and checks a file; paths in it are meant from its folder.
    ///
    /// # Errors
    /// Names the file, and the key that is absent, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let mut config: Self = toml_file::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let RewardConfig { model, annotations, validation, .. } = &mut config;
        for path in [model, &mut validation.data].into_iter().chain(annotations) {
            *path = folder.join(&*path);
        }
        config.check().map_err(|(field, what)| {
            let path = path.display().to_string();
            Error::from(fathom_model::Error::Config { path, field, what: what.into() })
        })?;
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), (String, &'static str)> {
        let Progress { log, validate, checkpoint } = self.progress;
        let positive = [
            ("batch", self.batch as u64),
            ("annotations", self.annotations.len() as u64),
            ("layers", self.layers.map_or(1, |layers| layers as u64)),
            ("iterations", self.iterations.map_or(1, |iterations| iterations as u64)),
            ("patience", self.patience.unwrap_or(1)),
            ("progress.log", log),
            ("progress.validate", validate),
            ("progress.checkpoint", checkpoint),
        ];
        if let Some((field, _)) = positive.into_iter().find(|&(_, value)| value == 0) {
            return Err((field.to_owned(), "is not positive"));
        }
        if !(self.optimizer.lr > 0.0 && self.optimizer.lr.is_finite()) {
            return Err(("optimizer.lr".to_owned(), "is not a positive number"));
        }
        self.validation.check().map_err(|(field, what)| (format!("validation.{field}"), what))
    }
}

impl Validation {
    /// The key at fault, and why.
    ///
    /// # Errors
    /// A number of questions or a sampling that is out of range.
    pub fn check(&self) -> std::result::Result<(), (String, &'static str)> {
        if self.questions == Some(0) {
            return Err(("questions".to_owned(), "is not positive"));
        }
        self.sampling.check().map_err(|(field, what)| (format!("sampling.{field}"), what))
    }
}
