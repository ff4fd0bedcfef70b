//! LatentRM: a body with a linear head that scores every thought of a trajectory (spec latenttts §3).
//!
//! The prompt is computed once and shared; a thought is scored where it stands, at its unpadded position. Causality
//! makes r_t depend on the prompt and the thoughts up to t alone, so scores come as the thoughts do.

use std::sync::atomic::{AtomicUsize, Ordering};

use fathom::{
    Tensor, Weight,
    kv::Sequence,
    ops::linear::{Epilogue, linear},
};

use crate::{
    body::{Body, Input},
    config::{Config, StepScore},
    error::{Error, Result},
    latent::Projector,
    latents::Latent,
    pass::{Disturbance, Run, Wanted},
    scratch::Pool,
    weights::Loader,
};

/// Rows of one pass at most: bounds the memory of activations.
const ROWS: usize = 256;

/// A latent reward model.
#[derive(Debug)]
pub struct LatentRm {
    body: Body,
    /// CODI's reward model projects the state before the head.
    projector: Option<Projector>,
    /// `[h, 1]`
    weight: Weight,
    bias: Tensor,
    step_score: StepScore,
    context: usize,
    scratch: Pool,
    prefilled: AtomicUsize,
}

impl LatentRm {
    pub(crate) fn load(config: &Config, step_score: StepScore, loader: &Loader<'_>) -> Result<Self> {
        let width = match config {
            Config::Gpt2(config) => config.width,
            Config::Llama(config) => config.width,
            Config::Huginn(config) => config.width,
        };
        // A reward model has no language-model head of its own.
        let headless = match config.clone() {
            Config::Llama(mut config) => {
                config.tied = true;
                Config::Llama(config)
            }
            other => other,
        };
        let body = Body::load(&headless, loader)?;
        let projector = match config {
            Config::Gpt2(config) => {
                let inner = Projector::width(config, loader);
                inner.map(|inner| Projector::load_codi(loader, width, inner)).transpose()?
            }
            _ => None,
        };
        Ok(Self {
            body,
            projector,
            weight: loader.linear("classifier.weight", width, 1)?,
            bias: loader.vector("classifier.bias", 1)?,
            step_score,
            context: config.context(),
            scratch: Pool::new(&loader.device, loader.dtype),
            prefilled: AtomicUsize::new(0),
        })
    }

    /// Width of the latents it scores.
    pub fn width(&self) -> usize {
        self.body.width()
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        self.body.bytes() + self.projector.as_ref().map_or(0, Projector::bytes) + self.weight.bytes() + 4
    }

    /// Bytes of keys and values a position.
    pub fn kv_bytes(&self) -> usize {
        self.body.kv_bytes()
    }

    /// Prompts computed so far: what a test counts to see that trajectories share one.
    pub fn prompts_prefilled(&self) -> usize {
        self.prefilled.load(Ordering::Relaxed)
    }

    /// `count` trajectories behind one prompt, which is computed once.
    ///
    /// # Errors
    /// A prompt longer than the context; an id outside the vocabulary.
    pub fn begin(&self, prompt: &[u32], count: usize) -> Result<Vec<Sequence>> {
        if prompt.len() >= self.context {
            return Err(Error::PromptTooLong { tokens: prompt.len() + 1, context: self.context });
        }
        self.prefilled.fetch_add(1, Ordering::Relaxed);
        let mut sequence = self.sequence();
        let inputs: Vec<Input<'_>> = prompt.iter().map(|&id| Input::Token(id)).collect();
        let mut runs = [Run::admit(&mut sequence, prompt.len())];
        self.scratch.with(|s| {
            self.body.forward(&inputs, &mut runs, &Disturbance::None, Wanted::Last, s).map(|_| ())
        })?;
        Ok(sequence.fork(count))
    }

    /// The scores of further thoughts of each trajectory, in their order: r_t, or what [`StepScore`] makes of it.
    ///
    /// # Errors
    /// A thought of another width; a trajectory that outgrows the context.
    pub fn score(&self, trajectories: &mut [&mut Sequence], thoughts: &[&[Latent]]) -> Result<Vec<Vec<f32>>> {
        if trajectories.len() != thoughts.len() {
            let what = format!("{} trajectories and thoughts of {}", trajectories.len(), thoughts.len());
            return Err(fathom::Error::Shape { operation: "score", what }.into());
        }
        let mut scores = Vec::with_capacity(trajectories.len());
        let mut first = 0;
        while first < trajectories.len() {
            let mut rows = 0;
            let fits = thoughts[first..].iter().take_while(|thoughts| {
                rows += thoughts.len();
                rows <= ROWS
            });
            let end = first + fits.count().max(1);
            let inputs: Vec<Input<'_>> =
                thoughts[first..end].iter().copied().flatten().map(Latent::input).collect();
            let pairs = trajectories[first..end].iter_mut().zip(&thoughts[first..end]);
            let mut runs = Vec::with_capacity(end - first);
            for (sequence, thoughts) in pairs {
                if sequence.len() + thoughts.len() > self.context {
                    let tokens = sequence.len() + thoughts.len();
                    return Err(Error::PromptTooLong { tokens, context: self.context });
                }
                runs.push(Run::admit(sequence, thoughts.len()));
            }
            let logits = self.score_rows(&inputs, &mut runs)?.into_iter();
            let mut flat = logits.map(|logit| self.step_score.of(logit));
            scores.extend(
                thoughts[first..end].iter().map(|thoughts| flat.by_ref().take(thoughts.len()).collect()),
            );
            first = end;
        }
        Ok(scores)
    }

    /// The logit of every row, whatever it is.
    ///
    /// # Errors
    /// As [`Body::forward`].
    pub fn score_rows(&self, inputs: &[Input<'_>], runs: &mut [Run<'_>]) -> Result<Vec<f32>> {
        if inputs.is_empty() {
            return Ok(Vec::new());
        }
        let mut scores = Tensor::empty(self.weight.device());
        self.scratch.with(|scratch| {
            let state = self.body.forward(inputs, runs, &Disturbance::None, Wanted::All, scratch)?;
            match &self.projector {
                Some(projector) => {
                    let state = projector.apply(state)?;
                    linear(&state, &self.weight, Some(&self.bias), Epilogue::None, &mut scores)
                }
                None => linear(state, &self.weight, Some(&self.bias), Epilogue::None, &mut scores),
            }
        })?;
        scores.into_data().map_err(Into::into)
    }

    /// An empty sequence for [`LatentRm::score_rows`].
    pub fn sequence(&self) -> Sequence {
        self.body.sequence()
    }
}
