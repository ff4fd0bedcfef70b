//! The log of a run: a line of JSON each.

use serde::{Deserialize, Serialize};

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
    pub(super) fn step(&self) -> u64 {
        match *self {
            Line::Step { step, .. } | Line::Validation { step, .. } | Line::Checkpoint { step } => step,
        }
    }
}
