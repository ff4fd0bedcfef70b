//! The latent reward model (spec latenttts §3): a body with a linear head over every thought, be it a latent of a chain or a
//! state of recurrent depth.

use fathom::{
    Device, Tensor,
    ops::{embedding::Input, linear::Epilogue},
};
use fathom_model::{checkpoint::Checkpoint, config::Config};

use crate::{
    error::Result,
    network::{
        Cache,
        feedback::{self, Projector},
        linear::{Linear, Stored},
        states::{self, States},
    },
    parameters::{Gradients, Init, Parameters, Source},
    segment::{Batch, Segment},
};

/// Of one question: the logits r of its trajectories, step by step, and what they should say, in [0, 1].
#[derive(Debug, Clone, Copy)]
pub struct Labelled<'a> {
    /// r_t of each trajectory.
    pub scores: &'a [Vec<f32>],
    /// ỹ_t of each trajectory.
    pub labels: &'a [Vec<f32>],
}

/// −Σ_t Σ_n ỹ log p, p being the softmax of the step's logits over the trajectories that have the step, with its gradients;
/// targets are not normalised (§3.4).
pub fn contrastive(question: Labelled<'_>) -> (f64, Vec<Vec<f64>>) {
    let Labelled { scores, labels } = question;
    let mut gradients: Vec<Vec<f64>> = scores.iter().map(|scores| vec![0.0; scores.len()]).collect();
    let mut loss = 0.0;
    for step in 0..scores.iter().map(Vec::len).max().unwrap_or(0) {
        let at = |of: &[Vec<f32>]| -> Vec<f64> {
            of.iter().filter_map(|of| of.get(step)).map(|&x| f64::from(x)).collect()
        };
        let (r, y) = (at(scores), at(labels));
        let largest = r.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = largest + r.iter().map(|r| (r - largest).exp()).sum::<f64>().ln();
        let mass: f64 = y.iter().sum();
        let places = gradients.iter_mut().filter_map(|gradients| gradients.get_mut(step));
        for ((gradient, r), y) in places.zip(&r).zip(&y) {
            loss -= y * (r - log_sum);
            *gradient = mass * (r - log_sum).exp() - y;
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

/// A question with trajectories, which share its prompt.
#[derive(Debug, Clone)]
pub struct Thoughts<'a> {
    /// Tokens up to the first thought.
    pub prompt: &'a [u32],
    /// z_1 … z_t of each trajectory, or s_1 … s_r.
    pub trajectories: Vec<Vec<Input<'a>>>,
}

/// A reward model that learns.
#[derive(Debug)]
pub struct Reward {
    parameters: Parameters,
    body: States,
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
        let body = States::new(config, &mut parameters, source)?;
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

    /// Width h of the thoughts that it scores.
    pub fn width(&self) -> usize {
        self.body.width()
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

    /// The logits r_t of all trajectories, in their order.
    ///
    /// # Errors
    /// Inputs that the body does not take; an empty prompt.
    pub fn scores(&self, questions: &[Thoughts<'_>]) -> Result<Vec<Vec<f32>>> {
        Ok(self.forward(questions, &Layout::new(questions))?.scores)
    }

    /// The loss that `judge` finds in [`Reward::scores`], and adds its gradients: `judge` returns both, the latter in the order
    /// of the logits.
    ///
    /// # Errors
    /// As there; gradients of another number.
    pub fn loss(
        &self,
        questions: &[Thoughts<'_>],
        judge: impl FnOnce(&[Vec<f32>]) -> (f64, Vec<Vec<f64>>),
        gradients: &mut Gradients,
    ) -> Result<f64> {
        let Self { parameters, body, projector, classifier } = self;
        let device = parameters.device();
        let layout = Layout::new(questions);
        let Layout { prompts, copies, thoughts, .. } = &layout;
        let Forward { mut caches, of_prompts, of_thoughts, states, projected, scores } =
            self.forward(questions, &layout)?;
        let (loss, dscores) = judge(&scores);
        let dscores: Vec<f32> = dscores.iter().flatten().map(|&d| d as f32).collect();
        let dlogits = Tensor::new(device, thoughts.rows(), 1, dscores)?;
        let mut dstates = Tensor::empty(device);
        let head_input = projected.as_ref().map_or(&states, |(out, _)| out);
        classifier.backward(head_input, &dlogits, gradients, &mut dstates)?;
        if let (Some(map), Some((_, saved))) = (projector, &projected) {
            dstates = map.backward(parameters, &states, saved, &dstates, gradients)?;
        }
        let fed = fed(questions);
        body.backward(parameters, &fed, thoughts, &of_thoughts, &dstates, &mut caches, gradients)?;
        caches.iter_mut().try_for_each(|cache| cache.collect(copies))?;
        // Nothing reads the prompts' states: their keys and values carry all there is.
        let dstates = Tensor::zeros(device, prompts.rows(), body.width())?;
        let asked = asked(questions);
        body.backward(parameters, &asked, prompts, &of_prompts, &dstates, &mut caches, gradients)?;
        Ok(loss)
    }

    /// A prompt is computed once for its trajectories.
    fn forward(&self, questions: &[Thoughts<'_>], layout: &Layout) -> Result<Forward> {
        let Self { parameters, body, projector, classifier } = self;
        let mut caches = body.caches(parameters, layout.places)?;
        let (_, of_prompts) = body.forward(parameters, &asked(questions), &layout.prompts, &mut caches)?;
        caches.iter_mut().try_for_each(|cache| cache.spread(&layout.copies))?;
        let (states, of_thoughts) =
            body.forward(parameters, &fed(questions), &layout.thoughts, &mut caches)?;
        let projected = projector.as_ref().map(|map| map.forward(parameters, &states)).transpose()?;
        let mut logits = Tensor::empty(parameters.device());
        let head_input = projected.as_ref().map_or(&states, |(out, _)| out);
        classifier.forward(head_input, Epilogue::None, &mut logits)?;
        let mut flat = logits.to_vec()?.into_iter();
        let trajectories = questions.iter().flat_map(|question| &question.trajectories);
        let scores = trajectories.map(|one| flat.by_ref().take(one.len()).collect()).collect();
        Ok(Forward { caches, of_prompts, of_thoughts, states, projected, scores })
    }
}

/// What the way back needs of the way forward.
struct Forward {
    caches: Vec<Cache>,
    of_prompts: states::Saved,
    of_thoughts: states::Saved,
    /// Of the thoughts.
    states: Tensor,
    projected: Option<(Tensor, feedback::Saved)>,
    scores: Vec<Vec<f32>>,
}

/// The prompts, once a question.
fn asked<'a>(questions: &[Thoughts<'a>]) -> Vec<Input<'a>> {
    let asked = questions.iter().filter(|question| !question.trajectories.is_empty());
    asked.flat_map(|question| question.prompt).map(|&id| Input::Token(id)).collect()
}

/// The thoughts of all trajectories.
fn fed<'a>(questions: &[Thoughts<'a>]) -> Vec<Input<'a>> {
    questions.iter().flat_map(|question| &question.trajectories).flatten().copied().collect()
}

/// Two passes over sequences of a prompt and a thought each: the prompt of the first trajectory of a question, then all thoughts.
struct Layout {
    places: usize,
    prompts: Segment,
    /// Places of the prompt in the first trajectory of a question, with those in the others.
    copies: Vec<(usize, usize)>,
    thoughts: Segment,
}

impl Layout {
    fn new(questions: &[Thoughts<'_>]) -> Self {
        let each = || {
            let of_question = |question| {
                let Thoughts { prompt, trajectories }: &Thoughts<'_> = question;
                trajectories.iter().enumerate().map(|(n, thought)| (n == 0, prompt.len(), thought.len()))
            };
            questions.iter().flat_map(of_question)
        };
        let mut batch = Batch::new(each().map(|(_, prompt, thought)| prompt + thought));
        let places = batch.places();
        let prompts = batch.next(each().map(|(first, prompt, _)| if first { prompt } else { 0 }));
        let others = batch.next(each().map(|(first, prompt, _)| if first { 0 } else { prompt }));
        let thoughts = batch.next(each().map(|(.., thought)| thought));
        let (mut copies, mut from, mut to) = (Vec::new(), 0, 0);
        for Thoughts { prompt, trajectories } in questions.iter().filter(|one| !one.trajectories.is_empty()) {
            let sources = &prompts.places[from..from + prompt.len()];
            for _ in 1..trajectories.len() {
                let copied = &others.places[to..to + prompt.len()];
                copies.extend(sources.iter().copied().zip(copied.iter().copied()));
                to += prompt.len();
            }
            from += prompt.len();
        }
        Self { places, prompts, copies, thoughts }
    }
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
