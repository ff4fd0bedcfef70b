//! What a run of training is told: a TOML file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::method::Method;
use crate::{
    error::{Error, Result},
    optimizer::Rule,
    schedule::Schedule,
    toml_file,
};

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunConfig {
    /// Of everything random.
    pub seed: u64,
    /// Steps in all.
    pub steps: u64,
    /// Problems a step.
    pub batch: usize,
    /// The network.
    pub model: ModelConfig,
    /// The problems.
    pub data: DataConfig,
    /// How it learns.
    pub method: Method,
    /// How gradients become steps.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes.
    pub schedule: Schedule,
    /// What is told on the way, and kept.
    #[serde(default)]
    pub progress: Progress,
}

/// The network that is trained: files in the published layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ModelConfig {
    /// A folder with `config.json` and a tokenizer; weights begin at random unless `weights` says otherwise.
    pub folder: PathBuf,
    /// Whether the folder's weights are where it begins.
    #[serde(default)]
    pub weights: bool,
}

/// Files of problems.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataConfig {
    /// What it learns from.
    pub train: PathBuf,
    /// What it is validated on.
    pub valid: PathBuf,
    /// Problems of the latter that count.
    #[serde(default = "five_hundred")]
    pub validate: usize,
}

/// The optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OptimizerConfig {
    /// Its rule.
    pub rule: Rule,
    /// The largest learning rate.
    pub lr: f64,
    /// The norm that gradients are scaled down to.
    #[serde(default)]
    pub clip: Option<f64>,
}

/// How often, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Progress {
    /// A line of the log.
    pub log: u64,
    /// A validation.
    pub validate: u64,
    /// A checkpoint.
    pub checkpoint: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { log: 10, validate: 500, checkpoint: 500 }
    }
}

fn five_hundred() -> usize {
    500
}

impl RunConfig {
    /// Reads and checks a file; paths in it are meant from its folder.
    ///
    /// # Errors
    /// Names the file, and the key that is absent, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let mut config: Self = toml_file::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for path in [&mut config.model.folder, &mut config.data.train, &mut config.data.valid] {
            *path = folder.join(&*path);
        }
        config.check().map_err(|(field, what)| fathom_model::Error::Config {
            path: place,
            field: field.into(),
            what: what.into(),
        })?;
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), (&'static str, &'static str)> {
        let Progress { log, validate, checkpoint } = self.progress;
        let positive = |field, value: u64| if value > 0 { Ok(()) } else { Err((field, "is not positive")) };
        positive("steps", self.steps)?;
        positive("batch", self.batch as u64)?;
        positive("data.validate", self.data.validate as u64)?;
        positive("progress.log", log)?;
        positive("progress.validate", validate)?;
        positive("progress.checkpoint", checkpoint)?;
        if !(self.optimizer.lr > 0.0 && self.optimizer.lr.is_finite()) {
            return Err(("optimizer.lr", "is not a positive number"));
        }
        self.method.check(self.steps)
    }

    /// Itself as text, by which a run that goes on knows that it is the same one.
    ///
    /// # Errors
    /// Never but for what cannot be written as JSON.
    pub(crate) fn text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::Option { option: "config", what: error.to_string() })
    }
}
