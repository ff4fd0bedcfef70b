//! A study: how the choice among N trajectories moves with the depth of the reward model and with the number of rollouts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::config::{Labels, RewardConfig, Validation};
use crate::{
    annotate::AnnotateConfig,
    error::{Error, Result},
    toml_file,
};

/// What a study is told.
#[derive(Debug, Clone)]
pub struct StudyConfig {
    /// The annotation whose number of rollouts is varied.
    pub annotate: AnnotateConfig,
    /// The training whose annotations, labels and layers are varied.
    pub train: RewardConfig,
    /// Rollouts a step; 0 is no rollouts, labels are then how trajectories end.
    pub rollouts: Vec<usize>,
    /// Layers of the reward model.
    pub layers: Vec<usize>,
    /// Questions to compare on.
    pub test: Validation,
}

/// As it stands in the file: the two configurations by their paths.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    annotate: PathBuf,
    train: PathBuf,
    rollouts: Vec<usize>,
    layers: Vec<usize>,
    test: Validation,
}

impl StudyConfig {
    /// Reads and checks a file and those that it names; paths in it are meant from its folder.
    ///
    /// # Errors
    /// Names the file, and the key that is absent, unknown or out of range.
    pub fn read(path: &Path) -> Result<Self> {
        let Written { annotate, train, rollouts, layers, mut test } = toml_file::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        test.data = folder.join(test.data);
        let wrong = |field: &str, what: &str| {
            let (path, field) = (path.display().to_string(), field.to_owned());
            Error::from(fathom_model::Error::Config { path, field, what: what.to_owned() })
        };
        for (field, list) in [("rollouts", &rollouts), ("layers", &layers)] {
            if list.is_empty() || !list.is_sorted_by(|a, b| a < b) {
                return Err(wrong(field, "do not rise"));
            }
        }
        if layers.contains(&0) {
            return Err(wrong("layers", "no layer"));
        }
        test.check().map_err(|(field, what)| wrong(&format!("test.{field}"), what))?;
        let (annotate, train) =
            (AnnotateConfig::read(&folder.join(annotate))?, RewardConfig::read(&folder.join(train))?);
        Ok(Self { annotate, train, rollouts, layers, test })
    }

    /// Rollouts to annotate with where labels come from `rollouts`: without any, what ends there are comes from the fewest.
    pub fn annotated(&self, rollouts: usize) -> usize {
        let fewest = self.rollouts.iter().copied().find(|&rollouts| rollouts > 0).unwrap_or(1);
        if rollouts == 0 { fewest } else { rollouts }
    }

    /// The training on `annotations` that keeps so many layers.
    pub fn training(&self, rollouts: usize, layers: usize, annotations: PathBuf) -> RewardConfig {
        let labels = if rollouts == 0 { Labels::Final } else { Labels::Rollouts };
        RewardConfig { labels, layers: Some(layers), annotations: vec![annotations], ..self.train.clone() }
    }
}
