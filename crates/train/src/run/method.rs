//! How a run learns, as its configuration says.

use serde::{Deserialize, Serialize};

use crate::recurrence::Recurrence;

/// How it learns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "kind")]
pub enum Method {
    /// Recurrent depth (spec huginn §4).
    RecurrentDepth {
        /// How often the core is iterated.
        recurrence: Recurrence,
        /// Which tokens count.
        #[serde(default)]
        targets: Targets,
        /// Whether the steps are written out before the answer.
        #[serde(default)]
        written_steps: bool,
        /// Whether problems stand behind one another in rows of one length.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        packing: Option<Packing>,
        /// Numbers of iterations at which it is validated.
        #[serde(default = "published_depths")]
        validate_at: Vec<usize>,
    },
    /// COCONUT's curriculum (arXiv 2412.06769): in each stage more steps are thoughts instead.
    Coconut {
        /// In their order.
        stages: Vec<Stage>,
        /// Probability that an element of embeddings and branches is dropped.
        #[serde(default)]
        dropout: f32,
    },
    /// CODI's self-distillation (arXiv 2502.21074).
    Codi {
        /// Thoughts of the student.
        thoughts: usize,
        /// Factor of the teacher's cross-entropy, the student's being 1.
        #[serde(default = "one")]
        teacher: f64,
        /// Factor of the distance of their states.
        #[serde(default = "one")]
        distillation: f64,
        /// Whether the teacher writes the last step, which holds the answer.
        #[serde(default)]
        last_step: bool,
        /// As COCONUT's.
        #[serde(default)]
        dropout: f32,
    },
    /// CoLaR's compressed chains (arXiv 2505.16552).
    Colar {
        /// A step of training compresses 1 to so many tokens to a thought.
        #[serde(default = "published_speeds")]
        speeds: usize,
        /// Factor of the latent head's error, the cross-entropy's being 1.
        #[serde(default = "one")]
        latents: f64,
        /// As COCONUT's.
        #[serde(default)]
        dropout: f32,
    },
}

/// Which tokens of a text count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// All, as in the published training on text.
    All,
    /// Those behind the question.
    #[default]
    Answer,
}

/// Rows of one length without padding (spec huginn §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Packing {
    /// Positions of a row.
    pub length: usize,
    /// Whether what is left of a problem when its row is full begins the next row.
    #[serde(default)]
    pub keep_all: bool,
    /// Whether a problem sees itself alone.
    #[serde(default)]
    pub mask: bool,
}

/// A part of COCONUT's curriculum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stage {
    /// The last step of training that belongs to it; the optimizer begins anew behind it.
    pub until: u64,
    /// Steps that are not written.
    pub skip: usize,
    /// Thoughts.
    pub thoughts: usize,
}

fn published_depths() -> Vec<usize> {
    vec![1, 4, 8, 16, 32]
}

fn published_speeds() -> usize {
    5
}

fn one() -> f64 {
    1.0
}

/// A key of the configuration, and what is wrong with it.
type Wrong = (&'static str, &'static str);

impl Method {
    /// What is out of range, in a run of so many steps.
    pub(super) fn check(&self, steps: u64) -> std::result::Result<(), Wrong> {
        let holds = |holds: bool, wrong: Wrong| if holds { Ok(()) } else { Err(wrong) };
        let factor = |factor: f64| factor >= 0.0 && factor.is_finite();
        if let Method::Coconut { dropout, .. }
        | Method::Codi { dropout, .. }
        | Method::Colar { dropout, .. } = self
        {
            holds((0.0..1.0).contains(dropout), ("method.dropout", "is not from 0 to below 1"))?;
        }
        match self {
            Method::RecurrentDepth { recurrence, validate_at, packing, targets, .. } => {
                let Recurrence { mean, backprop, sigma } = *recurrence;
                holds(backprop > 0, ("method.recurrence.backprop", "is not positive"))?;
                let within = mean > 0.0 && mean <= 1e4;
                holds(within, ("method.recurrence.mean", "is not between 0 and 10000"))?;
                holds((0.0..=4.0).contains(&sigma), ("method.recurrence.sigma", "is not from 0 to 4"))?;
                holds(!validate_at.contains(&0), ("method.validate-at", "no iteration"))?;
                let Some(Packing { length, .. }) = packing else { return Ok(()) };
                holds(*length > 0, ("method.packing.length", "is not positive"))?;
                let all = *targets == Targets::All;
                holds(all, ("method.targets", "is not \"all\", as all tokens of packed rows count"))
            }
            Method::Coconut { stages, .. } => {
                let rising = stages.windows(2).all(|pair| pair[0].until < pair[1].until);
                let ends = stages.last().is_some_and(|last| last.until >= steps);
                holds(rising && ends, ("method.stages", "do not rise up to the last step"))
            }
            Method::Codi { thoughts, teacher, distillation, .. } => {
                holds(*thoughts > 0, ("method.thoughts", "is not positive"))?;
                holds(factor(*teacher), ("method.teacher", "is not a factor from 0 on"))?;
                holds(factor(*distillation), ("method.distillation", "is not a factor from 0 on"))
            }
            Method::Colar { speeds, latents, .. } => {
                holds((1..=99).contains(speeds), ("method.speeds", "is not from 1 to 99"))?;
                holds(factor(*latents), ("method.latents", "is not a factor from 0 on"))
            }
        }
    }

    /// Thoughts at most, beside the steps that they stand for.
    pub(super) fn thoughts(&self) -> usize {
        match self {
            Method::RecurrentDepth { .. } | Method::Colar { .. } => 0,
            Method::Coconut { stages, .. } => stages.iter().map(|stage| stage.thoughts).max().unwrap_or(0),
            Method::Codi { thoughts, .. } => *thoughts,
        }
    }
}
