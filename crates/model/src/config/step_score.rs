//! What a step's logit counts as.

use super::{FILE, fields::Fields};
use crate::error::Result;
use crate::folder::Folder;

/// The score of a thought, from the logit r_t of a LatentRM; a trajectory's is the sum over its thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepScore {
    /// r_t, of models trained by the contrastive loss (spec latenttts §3.6).
    #[default]
    Logit,
    /// log σ(r_t), of models trained by the binary cross-entropy (spec latenttts §3.5).
    LogSigmoid,
}

impl StepScore {
    /// The key in `config.json`.
    pub const KEY: &str = "step_score";

    /// Its name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logit => "logit",
            Self::LogSigmoid => "log-sigmoid",
        }
    }

    /// As the folder's `config.json` says; [`StepScore::Logit`] where it says nothing, as published folders do.
    ///
    /// # Errors
    /// Another name.
    pub fn read(folder: &Folder) -> Result<Self> {
        let fields = Fields::read(folder.path_of(FILE), &folder.require(FILE)?)?;
        let Some(name) = fields.text(Self::KEY)? else { return Ok(Self::default()) };
        let known = [Self::Logit, Self::LogSigmoid];
        let found = known.into_iter().find(|score| score.name() == name);
        found.ok_or_else(|| fields.bad(Self::KEY, format!("{name:?} is neither logit nor log-sigmoid")))
    }

    /// The score of a logit.
    pub fn of(self, logit: f32) -> f32 {
        match self {
            Self::Logit => logit,
            Self::LogSigmoid => logit.min(0.0) - (-logit.abs()).exp().ln_1p(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_logits_have_finite_scores() {
        assert_eq!(StepScore::Logit.of(-2.5), -2.5);
        for logit in [0.5, -2.0, 90.0, -90.0_f32] {
            let expected = -(-f64::from(logit)).exp().ln_1p();
            // An exponential, a logarithm and a sum in f32.
            let error = (f64::from(StepScore::LogSigmoid.of(logit)) - expected).abs();
            assert!(error <= 4.0 * f64::from(f32::EPSILON) * expected.abs().max(1.0), "{logit}: {error}");
        }
    }
}
