//! Runs a model on one question and keeps what it thinks.

use fathom::random::{Stream, key};
use fathom_model::{
    huginn::{Huginn, Recording},
    latent_rm::LatentRm,
    latents::Latent,
    load::Network,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};

use crate::{
    error::Result,
    prompt::Dialogue,
    solver::Solver,
    trajectories::{Thinking, draws, think},
};

/// What is recorded.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TraceOptions {
    /// Latent steps T, or r for recurrent depth.
    pub steps: usize,
    /// Trajectories of each sampler.
    pub trajectories: usize,
    /// Initial states of recurrent depth.
    pub starts: usize,
    /// Dropout probability p.
    pub dropout_p: f32,
    /// Noise σ.
    pub noise_std: f32,
    /// Seed of all draws.
    pub seed: u64,
    /// Longest answer in tokens.
    pub max_answer_tokens: usize,
}

/// One trajectory of a sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// `latents[t]` is the latent `[h]` after step t + 1; for recurrent depth at the position that predicts the answer.
    pub latents: Vec<Vec<f32>>,
    /// The answer it ends in.
    pub text: String,
    /// Its number; +∞ where there is none.
    pub value: f64,
    /// LatentRM's score of each latent, where there is a reward model.
    pub rewards: Option<Vec<f32>>,
}

/// Trajectories of one sampler.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// What makes them differ; one trajectory alone of none.
    pub perturbation: Perturbation,
    /// By index.
    pub trajectories: Vec<Trajectory>,
}

/// A named sequence of states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Track<'a> {
    /// A token's text.
    pub label: &'a str,
    /// A state `[h]` a step, from s_0 on.
    pub states: &'a [Vec<f32>],
}

/// What one question left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Recurrent depth: the text of each token of the prompt, then of the deterministic answer.
    pub labels: Vec<String>,
    /// Recurrent depth: tokens of the prompt among them.
    pub prompt: usize,
    /// Recurrent depth: the states of these tokens, from each initial state; the first is what answering goes through.
    pub starts: Vec<Recording>,
    /// Without perturbation, under dropout, under noise.
    pub sampled: Vec<Sampled>,
}

impl Trace {
    /// Recurrent depth: the states of each token from the first initial state.
    pub fn tokens(&self) -> impl Iterator<Item = Track<'_>> {
        let states = self.starts.first().into_iter().flat_map(|start| &start.states);
        self.labels.iter().zip(states).map(|(label, states)| Track { label, states })
    }
}

/// Records what `solver`'s model thinks of `question`; the solver's own options play no part.
///
/// # Errors
/// As [`Solver::solve`].
pub fn trace(solver: &Solver, question: &str, options: &TraceOptions) -> Result<Trace> {
    // Inside the pool operations split their work without waking it each time.
    rayon::scope(|_| {
        let prompt = Dialogue::of(solver.model())?.prompt(question)?;
        match &solver.model().network {
            Network::Chain(chain) => {
                let (sampled, _) = sample(chain, solver, &prompt, options)?;
                Ok(Trace { labels: Vec::new(), prompt: 0, starts: Vec::new(), sampled })
            }
            Network::Huginn(huginn) => recurrent(huginn, solver, &prompt, options),
        }
    })
}

fn recurrent(huginn: &Huginn, solver: &Solver, prompt: &[u32], options: &TraceOptions) -> Result<Trace> {
    let (sampled, answer) = sample(huginn, solver, prompt, options)?;
    let tokens: Vec<u32> = prompt.iter().chain(&answer).copied().collect();
    let states = key(options.seed, prompt, Stream::State);
    let starts = huginn.record(&tokens, options.steps, options.starts, states)?;
    let text = |&id: &u32| match &solver.model().tokenizer {
        Some(tokenizer) => tokenizer.decode(&[id], false),
        None => Ok(id.to_string()),
    };
    let labels = tokens.iter().map(text).collect::<fathom_model::Result<_>>()?;
    Ok(Trace { labels, prompt: prompt.len(), starts, sampled })
}

/// Trajectories of each sampler, and the tokens of the deterministic answer.
fn sample<R: Reasoner>(
    reasoner: &R,
    solver: &Solver,
    prompt: &[u32],
    options: &TraceOptions,
) -> Result<(Vec<Sampled>, Vec<u32>)> {
    let (p, std, scope) = (options.dropout_p, options.noise_std, Scope::Full);
    let samplers = [
        (Perturbation::None, 1),
        (Perturbation::Dropout { p, sites: Sites::Resid, scope }, options.trajectories),
        (Perturbation::Noise { std, scope }, options.trajectories),
    ];
    let (mut sampled, mut answer) = (Vec::with_capacity(samplers.len()), Vec::new());
    for (perturbation, n) in samplers {
        let (trajectories, mut answers) = trajectories(reasoner, solver, prompt, perturbation, n, options)?;
        if perturbation == Perturbation::None {
            answer = answers.pop().unwrap_or_default();
        }
        sampled.push(Sampled { perturbation, trajectories });
    }
    Ok((sampled, answer))
}

fn trajectories<R: Reasoner>(
    reasoner: &R,
    solver: &Solver,
    prompt: &[u32],
    perturbation: Perturbation,
    n: usize,
    options: &TraceOptions,
) -> Result<(Vec<Trajectory>, Vec<Vec<u32>>)> {
    let dialogue = Dialogue::of(solver.model())?;
    let thinking = Thinking { steps: options.steps, perturbation, seed: options.seed };
    let thoughts = think(reasoner, prompt, &draws(options.seed, prompt, Stream::Trajectory, 0..n), thinking)?;
    let latents: Vec<Vec<Latent>> = thoughts.iter().map(|thought| thought.latents().to_vec()).collect();
    let rewards = solver.reward().map(|reward| rewards(reward, prompt, &latents)).transpose()?;
    let answers = reasoner.read_out(thoughts, options.max_answer_tokens, perturbation)?;
    let mut trajectories = Vec::with_capacity(n);
    for (index, (latents, tokens)) in latents.iter().zip(&answers).enumerate() {
        trajectories.push(Trajectory {
            latents: Latent::to_rows(latents).map_err(fathom_model::Error::from)?,
            text: dialogue.text(tokens)?,
            value: dialogue.value(prompt, latents.len(), tokens)?,
            rewards: rewards.as_ref().and_then(|rewards| rewards.get(index).cloned()),
        });
    }
    Ok((trajectories, answers))
}

fn rewards(reward: &LatentRm, prompt: &[u32], latents: &[Vec<Latent>]) -> Result<Vec<Vec<f32>>> {
    let mut states = reward.begin(prompt, latents.len())?;
    let views: Vec<&[Latent]> = latents.iter().map(Vec::as_slice).collect();
    Ok(reward.score(&mut states.iter_mut().collect::<Vec<_>>(), &views)?)
}
