//! LatentRM: a body with a linear head that scores every thought of a trajectory (spec latenttts §3).
//!
//! The prompt is computed once and shared; a thought is scored where it stands, at its unpadded position. Causality
//! makes r_t depend on the prompt and the thoughts up to t alone, so scores come as the thoughts do. Of recurrent depth the
//! thoughts are the states s_1 … s_r, which follow the whole prompt as further rows.

use std::sync::atomic::{AtomicUsize, Ordering};

use fathom::{
    Tensor, Weight,
    kv::Sequence,
    ops::linear::{Epilogue, linear},
};

use crate::{
    body::{Body, Input},
    config::{Config, HuginnConfig, LlamaConfig, StepScore},
    error::{Error, Result},
    huginn::{CachePolicy, Huginn},
    latent::Projector,
    latents::Latent,
    pass::{Disturbance, Run, Wanted},
    scratch::Pool,
    weights::Loader,
};

/// Rows of one pass at most: bounds the memory of activations.
const ROWS: usize = 256;

/// What makes a state of each row, which the head reads.
#[derive(Debug)]
enum Network {
    /// Of a latent chain; CODI's reward model projects the state before the head.
    Chain { body: Body, projector: Option<Projector> },
    /// Recurrent depth, whose core goes over every row so often from s_0 = 0.
    Depth { huginn: Huginn, iterations: usize },
}

/// A latent reward model.
#[derive(Debug)]
pub struct LatentRm {
    network: Network,
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
        let network = Network::load(config, loader)?;
        let width = network.width();
        Ok(Self {
            network,
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
        self.network.width()
    }

    /// Iterations of the core over every row, of a model that scores the states of recurrent depth; none of one that scores
    /// latent chains.
    pub fn iterations(&self) -> Option<usize> {
        match self.network {
            Network::Chain { .. } => None,
            Network::Depth { iterations, .. } => Some(iterations),
        }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        let of_network = match &self.network {
            Network::Chain { body, projector } => {
                body.bytes() + projector.as_ref().map_or(0, Projector::bytes)
            }
            Network::Depth { huginn, .. } => huginn.bytes(),
        };
        of_network + self.weight.bytes() + 4
    }

    /// Bytes of keys and values a position.
    pub fn kv_bytes(&self) -> usize {
        match &self.network {
            Network::Chain { body, .. } => body.kv_bytes(),
            Network::Depth { huginn, iterations } => huginn.kv_bytes(*iterations, CachePolicy::Full),
        }
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
        self.scratch.with(|scratch| match &self.network {
            Network::Chain { body, .. } => {
                body.forward(&inputs, &mut runs, &Disturbance::None, Wanted::Last, scratch).map(|_| ())
            }
            Network::Depth { huginn, iterations } => {
                huginn.rows(&inputs, &mut runs, *iterations, scratch).map(|_| ())
            }
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
        let mut read =
            |state: &Tensor| linear(state, &self.weight, Some(&self.bias), Epilogue::None, &mut scores);
        self.scratch.with(|scratch| match &self.network {
            Network::Chain { body, projector } => {
                let state = body.forward(inputs, runs, &Disturbance::None, Wanted::All, scratch)?;
                match projector {
                    Some(projector) => read(&projector.apply(state)?),
                    None => read(state),
                }
            }
            Network::Depth { huginn, iterations } => {
                read(&huginn.rows(inputs, runs, *iterations, scratch)?)
            }
        })?;
        scores.into_data().map_err(Into::into)
    }

    /// An empty sequence for [`LatentRm::score_rows`].
    pub fn sequence(&self) -> Sequence {
        match &self.network {
            Network::Chain { body, .. } => body.sequence(),
            Network::Depth { huginn, iterations } => huginn.sequence_of(*iterations),
        }
    }
}

impl Network {
    /// A reward model has no language-model head of its own.
    fn load(config: &Config, loader: &Loader<'_>) -> Result<Self> {
        match config {
            Config::Gpt2(shape) => {
                let body = Body::load(config, loader)?;
                let inner = Projector::width(shape, loader);
                let projector =
                    inner.map(|inner| Projector::load_codi(loader, shape.width, inner)).transpose()?;
                Ok(Self::Chain { body, projector })
            }
            Config::Llama(shape) => {
                let headless = Config::Llama(LlamaConfig { tied: true, ..shape.clone() });
                Ok(Self::Chain { body: Body::load(&headless, loader)?, projector: None })
            }
            Config::Huginn(shape) => {
                let headless = HuginnConfig { tied: true, ..shape.clone() };
                let huginn = Huginn::load(&headless, Vec::new(), loader)?;
                Ok(Self::Depth { huginn, iterations: shape.iterations })
            }
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Chain { body, .. } => body.width(),
            Self::Depth { huginn, .. } => huginn.width(),
        }
    }
}
