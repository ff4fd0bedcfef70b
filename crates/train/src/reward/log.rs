//! The log of a run: a line of JSON each.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    run::LOG,
};

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// Of steps since the line before.
    Step {
        /// Steps taken.
        step: u64,
        /// Mean loss a question and step of the thought, or a logit.
        loss: f64,
        /// Norm of the last gradients, before it was clipped.
        norm: f64,
        /// Learning rate of the last step.
        lr: f64,
        /// Trajectories a second.
        speed: f64,
    },
    /// Of questions that it does not learn from.
    Validation {
        /// Steps taken.
        step: u64,
        /// How often answers are right.
        #[serde(flatten)]
        accuracy: Accuracy,
    },
    /// A checkpoint that is whole.
    Checkpoint {
        /// Steps taken.
        step: u64,
    },
}

/// Shares of questions, in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// The best-scored trajectory is right.
    pub best_of_n: f64,
    /// The majority's answer is right.
    pub majority: f64,
    /// Mean share of trajectories that are right.
    pub pass_at_1: f64,
    /// Any trajectory is right.
    pub coverage: f64,
}

impl Line {
    fn step(&self) -> u64 {
        match *self {
            Line::Step { step, .. } | Line::Validation { step, .. } | Line::Checkpoint { step } => step,
        }
    }
}

/// The file in a run's folder.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
}

impl Log {
    /// Leaves out what came after the checkpoint at `step`, or all of it: it comes again.
    pub(super) fn cut(folder: &Path, step: Option<u64>) -> Result<Self> {
        let path = folder.join(LOG);
        if let Ok(text) = fs::read_to_string(&path) {
            let stays = |line: &Line| Some(line.step()) <= step;
            let kept: String = text
                .lines()
                .filter(|line| serde_json::from_str(line).is_ok_and(|line| stays(&line)))
                .flat_map(|line| [line, "\n"])
                .collect();
            let partial = path.with_extension("partial");
            fs::write(&partial, kept).and_then(|()| fs::rename(&partial, &path)).map_err(io(&path))?;
        }
        Ok(Self { path })
    }

    pub(super) fn append(&self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line)
            .map_err(|error| Error::Option { option: "log", what: error.to_string() })?;
        let append = || {
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
            writeln!(file, "{text}")
        };
        append().map_err(io(&self.path))
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| fathom_model::Error::Io { path: path.clone(), source }.into()
}
