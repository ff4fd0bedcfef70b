//! Trajectories of a question, and the values of their prefixes.

use std::collections::VecDeque;

use fathom::random::{Draw, Stream};
use fathom_model::{
    latent::{ChainThought, LatentChain},
    latents::Latent,
    load::{Model, Network},
    perturbation::{Perturbation, Scope},
    reasoner::{Branch, Reasoner, Thought},
};
use fathom_search::{dataset::Question, prompt::Dialogue, trajectories::draws};

use super::config::{Keep, Sampling};
use crate::error::{Error, Result};

/// A generator that annotates questions.
#[derive(Debug)]
pub struct Annotator {
    model: Model,
    sampling: Sampling,
    rollouts: usize,
    keep: Keep,
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Its place in the data set.
    pub index: usize,
    /// Whether each trajectory ends in the gold answer.
    pub correct: Vec<bool>,
    /// What there is to learn from, where it is kept.
    pub kept: Option<Kept>,
    /// Rollouts that were completed.
    pub rollouts: usize,
}

/// Trajectories with the values of their prefixes. A trajectory of a model that ends by itself may have fewer than T latents;
/// rows beyond are 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Of each trajectory prompt, a placeholder a latent, what closes the thought, answer; ends are padded to one length.
    pub ids: Vec<Vec<u32>>,
    /// ỹ_t of each trajectory, `[N][T]`.
    pub estimations: Vec<Vec<f32>>,
    /// z_t as they were fed, `[N][T][h]`.
    pub latents: Vec<Vec<Vec<f32>>>,
}

/// One trajectory with its thought as it was behind each of its latents.
struct Trajectory {
    prefixes: VecDeque<ChainThought>,
    latents: Vec<Latent>,
    answer: Vec<u32>,
    correct: bool,
}

/// A question as it is asked, and the number that answers it.
struct Asked {
    prompt: Vec<u32>,
    target: f64,
}

impl Annotator {
    /// One that draws trajectories of `model` as `sampling` says, and `rollouts` of each prefix.
    ///
    /// # Errors
    /// A model that is no latent chain or has no tokenizer.
    pub fn new(model: Model, sampling: Sampling, rollouts: usize, keep: Keep) -> Result<Self> {
        Dialogue::of(&model)?;
        let annotator = Self { model, sampling, rollouts, keep };
        annotator.chain()?;
        Ok(annotator)
    }

    /// The generator.
    pub fn model(&self) -> &Model {
        &self.model
    }

    fn chain(&self) -> Result<&LatentChain> {
        match &self.model.network {
            Network::Chain(chain) => Ok(chain),
            Network::Huginn(_) => {
                let what = "is recurrent depth, whose states reward models do not score".into();
                Err(Error::Option { option: "model", what })
            }
        }
    }

    /// Annotates a question: a function of it, the model, the sampling and the number of rollouts.
    ///
    /// # Errors
    /// A question that has no room in the context or cannot be encoded.
    pub fn annotate(&self, question: &Question) -> Result<Annotation> {
        let chain = self.chain()?;
        let prompt = Dialogue::of(&self.model)?.prompt(&question.question)?;
        let asked = Asked { prompt, target: question.target };
        let mut trajectories = self.trajectories(chain, &asked)?;
        let correct: Vec<bool> = trajectories.iter().map(|one| one.correct).collect();
        let mixed = correct.contains(&true) && correct.contains(&false);
        let mut annotation = Annotation { index: question.index, correct, kept: None, rollouts: 0 };
        let thought = trajectories.iter().any(|one| !one.latents.is_empty());
        if thought && (mixed || self.keep == Keep::All) {
            let steps = self.sampling.steps(&self.model);
            let mut estimations = vec![vec![0.0; steps]; trajectories.len()];
            for t in 1..=steps {
                annotation.rollouts += self.value(chain, &asked, &mut trajectories, t, &mut estimations)?;
            }
            annotation.kept = Some(self.gather(chain, &asked, &trajectories, estimations)?);
        }
        Ok(annotation)
    }

    /// N trajectories as inference draws them, with their answers.
    fn trajectories(&self, chain: &LatentChain, asked: &Asked) -> Result<Vec<Trajectory>> {
        let Sampling { seed, perturbation, trajectories: n, .. } = self.sampling;
        let steps = self.sampling.steps(&self.model);
        let draws = draws(seed, &asked.prompt, Stream::Trajectory, 0..n);
        let mut thoughts = chain.prefill(&asked.prompt, steps, &draws, seed, perturbation)?;
        let mut prefixes: Vec<VecDeque<ChainThought>> = (0..n).map(|_| VecDeque::new()).collect();
        for t in 1..=steps {
            for (prefixes, thought) in prefixes.iter_mut().zip(&thoughts) {
                // Where the prompt differs from rollout to rollout nothing of it is shared.
                if !perturbation.reaches_prompt() && thought.latents().len() == t {
                    prefixes.push_back(thought.duplicate()?);
                }
            }
            if t < steps {
                thoughts = advance(chain, thoughts, &draws, perturbation)?;
            }
        }
        let latents: Vec<Vec<Latent>> = thoughts.iter().map(|thought| thought.latents().to_vec()).collect();
        let answers = chain.read_out(thoughts, self.sampling.max_answer_tokens, perturbation)?;
        let rows = prefixes.into_iter().zip(latents).zip(answers);
        rows.map(|((prefixes, latents), answer)| {
            let correct = self.is_right(&answer, asked)?;
            Ok(Trajectory { prefixes, latents, answer, correct })
        })
        .collect()
    }

    /// Sets ỹ_t of every trajectory that has z_t, and returns the number of rollouts: those of all trajectories go on
    /// together, or those of each where they have a prompt of their own and its keys and values are many.
    fn value(
        &self,
        chain: &LatentChain,
        asked: &Asked,
        trajectories: &mut [Trajectory],
        t: usize,
        estimations: &mut [Vec<f32>],
    ) -> Result<usize> {
        let Sampling { perturbation, .. } = self.sampling;
        let steps = self.sampling.steps(&self.model);
        let mut branches = Vec::new();
        let mut valued = Vec::new();
        let mut rollouts = 0;
        for (n, trajectory) in trajectories.iter_mut().enumerate() {
            let Some(latents) = trajectory.latents.get(..t) else { continue };
            let estimation = &mut estimations[n][t - 1];
            let draws = self.draws(asked, t, n);
            match trajectory.prefixes.pop_front() {
                None => {
                    let thoughts = chain.recall(&asked.prompt, latents, &draws, perturbation)?;
                    let thoughts = self.go_on(chain, thoughts, &draws, t)?;
                    let right = self.right(chain, thoughts, asked)?;
                    *estimation = share(&right);
                    rollouts += right.len();
                }
                Some(_) if is_certain(perturbation, t, trajectory.latents.len(), steps) => {
                    *estimation = f32::from(u8::from(trajectory.correct));
                }
                Some(thought) => {
                    branches.push(Branch { thought, draws });
                    valued.push(n);
                }
            }
        }
        if branches.is_empty() {
            return Ok(rollouts);
        }
        let draws: Vec<Draw> = branches.iter().flat_map(|branch| branch.draws.clone()).collect();
        let stepped = chain.step(branches, perturbation)?;
        // A thought that had ended would come back once for all of its draws; prefixes have not.
        let thoughts: Vec<ChainThought> = stepped.into_iter().flatten().collect();
        let thoughts = self.go_on(chain, thoughts, &draws, t + 1)?;
        let right = self.right(chain, thoughts, asked)?;
        for (&n, right) in valued.iter().zip(right.chunks(self.rollouts)) {
            estimations[n][t - 1] = share(right);
        }
        Ok(rollouts + right.len())
    }

    /// The draws of the rollouts of trajectory `n` behind z_t.
    fn draws(&self, asked: &Asked, t: usize, n: usize) -> Vec<Draw> {
        let m = self.rollouts;
        draws(self.sampling.seed, &asked.prompt, Stream::Rollout(t as u32), n * m..(n + 1) * m)
    }

    /// Thoughts with `latents` latents, thought to their end.
    fn go_on(
        &self,
        chain: &LatentChain,
        mut thoughts: Vec<ChainThought>,
        draws: &[Draw],
        latents: usize,
    ) -> Result<Vec<ChainThought>> {
        for _ in latents..self.sampling.steps(&self.model) {
            thoughts = advance(chain, thoughts, draws, self.sampling.perturbation)?;
        }
        Ok(thoughts)
    }

    /// Whether the answer of each is right. In the published form dropout stays on while rollouts answer (spec latenttts
    /// §3.3.4), unlike in inference.
    fn right(&self, chain: &LatentChain, thoughts: Vec<ChainThought>, asked: &Asked) -> Result<Vec<bool>> {
        let Sampling { perturbation, max_answer_tokens, .. } = self.sampling;
        let answers = match perturbation {
            Perturbation::Dropout { scope: Scope::Full, .. } => {
                chain.answer_perturbed(thoughts, max_answer_tokens, perturbation)?
            }
            _ => chain.read_out(thoughts, max_answer_tokens, perturbation)?,
        };
        answers.iter().map(|answer| self.is_right(answer, asked)).collect()
    }

    /// Annotation reads what was generated alone, without the question (spec latenttts §9.12).
    fn is_right(&self, answer: &[u32], asked: &Asked) -> Result<bool> {
        Ok(Dialogue::of(&self.model)?.value(&[], 0, answer)? == asked.target)
    }

    fn gather(
        &self,
        chain: &LatentChain,
        asked: &Asked,
        trajectories: &[Trajectory],
        estimations: Vec<Vec<f32>>,
    ) -> Result<Kept> {
        let (chain_ids, ids) = (chain.ids(), &self.model.ids);
        let row = |one: &Trajectory| {
            let mut row = asked.prompt.clone();
            row.extend(std::iter::repeat_n(chain_ids.latent, one.latents.len()));
            row.push(chain_ids.latent_end);
            row.extend(&one.answer);
            row.extend(chain_ids.eos.first());
            row
        };
        let mut rows: Vec<Vec<u32>> = trajectories.iter().map(row).collect();
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let pad = ids.pad.or(chain_ids.eos.first().copied()).unwrap_or(0);
        rows.iter_mut().for_each(|row| row.resize(longest, pad));
        let steps = self.sampling.steps(&self.model);
        let mut latents = Vec::with_capacity(trajectories.len());
        for one in trajectories {
            let mut channels = Latent::to_rows(&one.latents).map_err(fathom_model::Error::from)?;
            channels.resize(steps, vec![0.0; chain.body().width()]);
            latents.push(channels);
        }
        Ok(Kept { ids: rows, estimations, latents })
    }
}

/// The next step of each thought.
fn advance(
    chain: &LatentChain,
    thoughts: Vec<ChainThought>,
    draws: &[Draw],
    perturbation: Perturbation,
) -> Result<Vec<ChainThought>> {
    let branches =
        thoughts.into_iter().zip(draws).map(|(thought, &draw)| Branch { thought, draws: vec![draw] });
    Ok(chain.step(branches.collect(), perturbation)?.into_iter().flatten().collect())
}

/// Whether what follows z_t of a trajectory of `len` latents is no matter of chance, so that its own end is the value: noise
/// touches latents alone (spec latenttts §9.18), dropout in the thought no answer.
fn is_certain(perturbation: Perturbation, t: usize, len: usize, most: usize) -> bool {
    match perturbation {
        Perturbation::Noise { .. } => t == len,
        Perturbation::Dropout { scope: Scope::Latent, .. } => t == most,
        _ => false,
    }
}

fn share(right: &[bool]) -> f32 {
    right.iter().filter(|&&right| right).count() as f32 / right.len() as f32
}
