//! The latent reward model (spec latenttts §3): a body with a linear head over every thought.

use fathom::{
    Device, Tensor,
    ops::{embedding::Input, linear::Epilogue},
};
use fathom_model::{checkpoint::Checkpoint, config::Config, pass::Disturbance};

use crate::{
    error::{Error, Result},
    network::{
        body::Body,
        feedback::{self, Projector},
        linear::{Linear, Stored},
        scatter,
    },
    parameters::{Gradients, Init, Parameters, Source},
    segment::Batch,
};

/// Of one question: the logits r of its trajectories, step by step, and what they should say, in [0, 1].
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// r_t of each trajectory.
    pub scores: &'a [Vec<f32>],
    /// ỹ_t of each trajectory.
    pub labels: &'a [Vec<f32>],
}

/// −Σ_t Σ_n ỹ log p, p being the softmax of the step's logits over trajectories, with its gradients; targets are not
/// normalised (§3.4).
pub fn contrastive(question: Labelled<'_>) -> (f64, Vec<Vec<f64>>) {
    let Labelled { scores, labels } = question;
    let mut gradients: Vec<Vec<f64>> = scores.iter().map(|scores| vec![0.0; scores.len()]).collect();
    let mut loss = 0.0;
    for step in 0..scores.first().map_or(0, Vec::len) {
        let at = |of: &[Vec<f32>]| of.iter().map(|of| f64::from(of[step])).collect::<Vec<_>>();
        let (r, y) = (at(scores), at(labels));
        let largest = r.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = largest + r.iter().map(|r| (r - largest).exp()).sum::<f64>().ln();
        let mass: f64 = y.iter().sum();
        for ((gradients, r), y) in gradients.iter_mut().zip(&r).zip(&y) {
            loss -= y * (r - log_sum);
            gradients[step] = mass * (r - log_sum).exp() - y;
        }
    }
    (loss, gradients)
}

/// Σ of the binary cross-entropies of single logits, with its gradients (§3.4).
pub fn binary(question: Labelled<'_>) -> (f64, Vec<Vec<f64>>) {
    let mut loss = 0.0;
    let mut of_one = |(&score, &label): (&f32, &f32)| {
        let (r, y) = (f64::from(score), f64::from(label));
        loss += r.max(0.0) - r * y + (-r.abs()).exp().ln_1p();
        1.0 / (1.0 + (-r).exp()) - y
    };
    let pairs = question.scores.iter().zip(question.labels);
    let gradients = pairs.map(|(scores, labels)| scores.iter().zip(labels).map(&mut of_one).collect());
    let gradients = gradients.collect();
    (loss, gradients)
}

/// A reward model that learns.
#[derive(Debug)]
pub struct Reward {
    parameters: Parameters,
    body: Body,
    projector: Option<Projector>,
    classifier: Linear,
}

impl Reward {
    /// One whose parameters begin as `source` says; `projected` where states go through CODI's projector first.
    ///
    /// # Errors
    /// Tensors that are missing or of other shapes; no memory on the device.
    pub fn new(config: &Config, source: &mut dyn Source, device: &Device) -> Result<Self> {
        let mut parameters = Parameters::new(device);
        // It has no language-model head of its own.
        let headless = match config.clone() {
            Config::Llama(mut config) => {
                config.tied = true;
                Config::Llama(config)
            }
            other => other,
        };
        let body = Body::new(&headless, &mut parameters, source)?;
        let projector = match config {
            Config::Gpt2(config) if config.projector => {
                let inner = config.projector_width.unwrap_or(config.width);
                Some(Projector::codi(config, inner, &mut parameters, source)?)
            }
            _ => None,
        };
        let shape = [1, body.width()];
        let weight = parameters.add(source, "classifier.weight", &shape, Init::Normal(0.02))?;
        let bias = parameters.add(source, "classifier.bias", &[1], Init::Zeros)?;
        let classifier = Linear::new(&parameters, Stored::Outputs, weight, Some(bias))?;
        Ok(Self { parameters, body, projector, classifier })
    }

    /// That of a checkpoint.
    ///
    /// # Errors
    /// As [`Reward::new`].
    pub fn load(config: &Config, checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        Self::new(config, &mut &*checkpoint, device)
    }

    /// What it has learnt.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Changes the parameters.
    ///
    /// # Errors
    /// Those of `change`; a device that does not work.
    pub fn update(&mut self, change: impl FnOnce(&mut Parameters) -> Result<()>) -> Result<()> {
        change(&mut self.parameters)?;
        self.body.pack(&self.parameters)?;
        if let Some(projector) = &mut self.projector {
            projector.pack(&self.parameters)?;
        }
        self.classifier.pack(&self.parameters)
    }

    /// The loss that `judge` finds in the logits at positions `slots` of each sequence, and adds its gradients: `judge` returns
    /// both, the latter in the order of the logits.
    ///
    /// # Errors
    /// Inputs that the body does not take; slots that are not inside their sequences; gradients of another number.
    pub fn loss(
        &self,
        sequences: &[Vec<Input<'_>>],
        slots: &[Vec<usize>],
        judge: impl FnOnce(&[Vec<f32>]) -> (f64, Vec<Vec<f64>>),
        gradients: Option<&mut Gradients>,
    ) -> Result<f64> {
        let Self { parameters, body, projector, classifier } = self;
        let device = parameters.device();
        let mut batch = Batch::new(sequences.iter().map(Vec::len));
        let segment = batch.next(sequences.iter().map(Vec::len));
        let mut caches = body.caches(parameters, batch.places())?;
        let inputs = sequences.concat();
        let rows = rows_of(sequences, slots)?;
        let none = Disturbance::None;
        let (states, saved) = body.forward(parameters, &inputs, &segment, &none, &mut caches)?;
        let mut scored = Tensor::empty(device);
        states.select(&rows, &mut scored)?;
        let projected = projector.as_ref().map(|map| map.forward(parameters, &scored)).transpose()?;
        let head_input = projected.as_ref().map_or(&scored, |(out, _)| out);
        let mut logits = Tensor::empty(device);
        classifier.forward(head_input, Epilogue::None, &mut logits)?;
        let mut flat = logits.to_vec()?.into_iter();
        let scores: Vec<Vec<f32>> =
            slots.iter().map(|slots| flat.by_ref().take(slots.len()).collect()).collect();
        let (loss, dscores) = judge(&scores);
        let Some(gradients) = gradients else { return Ok(loss) };

        let dscores: Vec<f32> = dscores.iter().flatten().map(|&d| d as f32).collect();
        let dlogits = Tensor::new(device, rows.len(), 1, dscores)?;
        let mut dscored = Tensor::empty(device);
        classifier.backward(head_input, &dlogits, gradients, &mut dscored)?;
        if let (Some(map), Some((_, of_map))) = (projector, &projected) {
            dscored = back(map, parameters, &scored, of_map, &dscored, gradients)?;
        }
        let mut dstates = Tensor::zeros(device, states.rows(), states.width())?;
        scatter(&mut dstates, &rows, &dscored)?;
        body.backward(parameters, &inputs, &segment, &none, &saved, &dstates, &mut caches, gradients)?;
        Ok(loss)
    }
}

fn back(
    projector: &Projector,
    parameters: &Parameters,
    scored: &Tensor,
    saved: &feedback::Saved,
    dout: &Tensor,
    gradients: &mut Gradients,
) -> Result<Tensor> {
    projector.backward(parameters, scored, saved, dout, gradients)
}

/// The rows of a batch at positions `slots` of its sequences.
fn rows_of(sequences: &[Vec<Input<'_>>], slots: &[Vec<usize>]) -> Result<Vec<usize>> {
    let (mut rows, mut first) = (Vec::new(), 0);
    for (sequence, slots) in sequences.iter().zip(slots) {
        if let Some(slot) = slots.iter().find(|&&slot| slot >= sequence.len()) {
            let what = format!("{slot} of a sequence of {}", sequence.len());
            return Err(Error::Option { option: "slots", what });
        }
        rows.extend(slots.iter().map(|slot| first + slot));
        first += sequence.len();
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both losses against differences of themselves: central, of a smooth function in f64, so 1e-6 is rounding.
    #[test]
    fn gradients_are_differences() {
        let scores = vec![vec![0.3, -1.0], vec![2.0, 0.5], vec![-0.7, 0.25]];
        let labels = vec![vec![0.25, 1.0], vec![0.0, 0.5], vec![0.75, 0.0]];
        for loss in [contrastive, binary] {
            let (_, gradients) = loss(Labelled { scores: &scores, labels: &labels });
            for n in 0..3 {
                for step in 0..2 {
                    let at = |delta: f32| {
                        let mut scores = scores.clone();
                        scores[n][step] += delta;
                        loss(Labelled { scores: &scores, labels: &labels }).0
                    };
                    let difference = (at(0.0078125) - at(-0.0078125)) / 0.015625;
                    let error = (difference - gradients[n][step]).abs();
                    assert!(error < 1e-4, "{n} {step}: {} for {difference}", gradients[n][step]);
                }
            }
        }
    }
}
