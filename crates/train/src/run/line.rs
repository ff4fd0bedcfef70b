//! What a run tells on the way.

use serde::{Deserialize, Serialize};

use crate::objective::dynamics::Dynamics;

/// The name of the log in a run's folder: a [`Line`] of JSON each.
pub const LOG: &str = "log.jsonl";

/// What a line of the log tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// Of steps since the line before.
    Step {
        /// Steps taken.
        step: u64,
        /// Mean loss a target.
        loss: f64,
        /// Norm of the last gradients, before it was clipped.
        norm: f64,
        /// Learning rate of the last step.
        lr: f64,
        /// Tokens a second.
        speed: f64,
        /// What the loss is the sum of, where it is one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<Part>,
    },
    /// Of problems that it does not learn from.
    Validation {
        /// Steps taken.
        step: u64,
        /// One where there are no iterations.
        losses: Vec<AtDepth>,
    },
    /// A checkpoint that is whole.
    Checkpoint {
        /// Steps taken.
        step: u64,
    },
}

/// A validation loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtDepth {
    /// Iterations of the core; 0 for a chain.
    pub r: usize,
    /// Mean loss a target.
    pub loss: f64,
    /// What the loss is the sum of, where it is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// What the last iteration does to the states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<Dynamics>,
}

/// A part of a loss, without its factor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which.
    pub name: String,
    /// Its mean.
    pub loss: f64,
}

impl From<(&str, f64)> for Part {
    fn from((name, loss): (&str, f64)) -> Self {
        Self { name: name.to_owned(), loss }
    }
}

impl Line {
    /// Steps taken by then.
    pub(super) fn step(&self) -> u64 {
        match *self {
            Line::Step { step, .. } | Line::Validation { step, .. } | Line::Checkpoint { step } => step,
        }
    }
}
