//! One step of an optimizer over all parameters.

use fathom::ops::{
    adam::{AdamW, EllisAdam, Moments, Step, adamw, ellis_adam},
    square_sum::square_sum,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    parameters::{Gradients, Id, Parameters},
};

/// How gradients become steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Rule {
    /// AdamW (Loshchilov and Hutter 2019), as PyTorch has it.
    #[serde(rename = "adamw")]
    AdamW {
        /// Decay of the moments a step.
        betas: [f64; 2],
        /// Added to the root of the second moment.
        eps: f64,
        /// Decay of matrices a step, times the learning rate.
        weight_decay: f64,
    },
    /// The variant that Huginn was trained with (spec huginn §4.5).
    EllisAdam {
        /// Decay of the moments a step.
        betas: [f64; 2],
        /// The root of the second moment at least.
        eps: f64,
        /// Decay of matrices a step at the largest learning rate.
        weight_decay: f64,
    },
}

/// The state of an optimizer.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    /// The largest learning rate.
    peak: f64,
    /// Gradients are scaled down to this norm.
    clip: Option<f64>,
    moments: Vec<Moments>,
    taken: u32,
}

impl Optimizer {
    /// Before the first step.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn new(rule: Rule, peak: f64, clip: Option<f64>, parameters: &Parameters) -> Result<Self> {
        let moments = parameters.ids().map(|id| Moments::of(&parameters[id]));
        Ok(Self { rule, peak, clip, moments: moments.collect::<fathom::Result<_>>()?, taken: 0 })
    }

    /// One step at `share` of the largest learning rate; the norm of the gradients before it was clipped.
    ///
    /// # Errors
    /// A gradient that is infinite or not a number, by the name of its tensor; nothing has changed then.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: &Gradients, share: f64) -> Result<f64> {
        let ids: Vec<Id> = parameters.ids().collect();
        let mut square = 0.0;
        for &id in &ids {
            let of_one = square_sum(&gradients[id])?;
            if !of_one.is_finite() {
                return Err(Error::NotFinite { tensor: format!("gradient of {}", parameters.name(id)) });
            }
            square += of_one;
        }
        let norm = square.sqrt();
        let factor = self.clip.map_or(1.0, |clip| (clip / (norm + 1e-6)).min(1.0)) as f32;
        self.taken += 1;
        let at = Step { t: self.taken, factor };
        for (&id, moments) in ids.iter().zip(&mut self.moments) {
            let decays = parameters.shape(id).len() == 2;
            let decay = |weight_decay: f64| if decays { weight_decay } else { 0.0 };
            let lr = share * self.peak;
            let (parameter, gradient) = (&mut parameters[id], &gradients[id]);
            match self.rule {
                Rule::AdamW { betas, eps, weight_decay } => {
                    let rule = AdamW { lr, betas, eps, weight_decay: decay(weight_decay) };
                    adamw(parameter, gradient, moments, rule, at)?;
                }
                Rule::EllisAdam { betas, eps, weight_decay } => {
                    let weight_decay = decay(weight_decay);
                    let rule = EllisAdam { lr, peak: self.peak, betas, eps, weight_decay };
                    ellis_adam(parameter, gradient, moments, rule, at)?;
                }
            }
        }
        Ok(norm)
    }

    /// Steps taken so far.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// The moments, in the order of the parameters.
    pub fn moments(&self) -> &[Moments] {
        &self.moments
    }

    /// Goes on from where another stopped.
    pub fn resume(&mut self, moments: Vec<Moments>, taken: u32) {
        (self.moments, self.taken) = (moments, taken);
    }
}
