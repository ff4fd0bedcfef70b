//! What annotations depend on, beside them in their folder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::{Keep, Sampling};
use crate::error::{Error, Result};

/// One of several parts of a data set: part I of M has every M-th question, from the I-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// I, from 1 to M.
    pub index: usize,
    /// M.
    pub count: usize,
}

/// Two annotations of equal setups are equal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// Version of this program.
    pub version: String,
    /// Identity of the generator.
    pub model: String,
    /// Kind of device.
    pub device: String,
    /// Digest of the data set.
    pub data: String,
    /// Questions from its start.
    pub questions: usize,
    /// M, rollouts a step.
    pub rollouts: usize,
    /// Which questions are kept.
    pub keep: Keep,
    /// Questions a file.
    pub questions_a_file: usize,
    /// How trajectories are drawn.
    pub sampling: Sampling,
    /// Which of the questions.
    pub part: Part,
}

impl Setup {
    /// Rank of the part, from 0, as names of files have it.
    pub fn rank(&self) -> usize {
        self.part.index.saturating_sub(1)
    }

    /// The name of the file that holds it.
    pub fn name(&self) -> String {
        format!("annotation_on{}.json", self.rank())
    }

    /// Indices of the questions of this part in the data set, rising.
    pub fn indices(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        (self.rank()..self.questions).step_by(self.part.count.max(1))
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.indices().len().div_ceil(self.questions_a_file.max(1))
    }

    /// Those of the parts in a folder, by rank.
    ///
    /// # Errors
    /// A folder or file that cannot be read; parts that are missing, unfinished or of different annotations.
    pub fn of_folder(folder: &Path) -> Result<Vec<Self>> {
        let mut setups: Vec<Self> = Vec::new();
        loop {
            let path = folder.join(format!("annotation_on{}.json", setups.len()));
            let place = path.display().to_string();
            let wrong = |what: String| Error::from(fathom_model::Error::Format { path: place.clone(), what });
            let text = std::fs::read_to_string(&path)
                .map_err(|source| fathom_model::Error::Io { path: place.clone(), source })?;
            let setup: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
            let first = setups.first().unwrap_or(&setup);
            let part = Part { index: setups.len() + 1, count: first.part.count };
            if setup != (Self { part, ..first.clone() }) {
                return Err(wrong("is not of the same annotation as the parts before it".into()));
            }
            let file = |k: &usize| !folder.join(super::shards::name(*k, setup.rank())).exists();
            if let Some(missing) = (0..setup.files()).find(file) {
                let name = super::shards::name(missing, setup.rank());
                return Err(wrong(format!("is not finished: {name} is missing")));
            }
            setups.push(setup);
            if setups.len() >= part.count {
                return Ok(setups);
            }
        }
    }
}
