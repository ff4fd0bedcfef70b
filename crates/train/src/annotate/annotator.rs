//! Trajectories of a question, and the values of their prefixes.

use std::collections::VecDeque;

use fathom::random::{Draw, Stream};
use fathom_model::{
    latents::Latent,
    load::{Model, Network},
    perturbation::Perturbation,
    reasoner::{Branch, Reasoner, Thought},
};
use fathom_search::{dataset::Question, prompt::Dialogue, trajectories::draws};

use super::{
    config::{Keep, Sampling},
    generator::{Generator, Resumed},
};
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
    /// z_t as they were fed, or states s_t of recurrent depth, `[N][T][h]`.
    pub latents: Vec<Vec<Vec<f32>>>,
}

/// One trajectory with its thought as it was behind each of its latents.
struct Trajectory<P> {
    prefixes: VecDeque<P>,
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
    /// A model that has no tokenizer; another s_0 for a model that has none.
    pub fn new(model: Model, sampling: Sampling, rollouts: usize, keep: Keep) -> Result<Self> {
        Dialogue::of(&model)?;
        let (chain, state) =
            (matches!(model.network, Network::Chain(_)), sampling.perturbation == Perturbation::State);
        if chain && state {
            let what = "state resamples the initial state of recurrent depth, which this model lacks".into();
            return Err(Error::Option { option: "sampling.perturbation", what });
        }
        Ok(Self { model, sampling, rollouts, keep })
    }

    /// The generator.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Annotates a question: a function of it, the model, the sampling and the number of rollouts.
    ///
    /// # Errors
    /// A question that has no room in the context or cannot be encoded.
    pub fn annotate(&self, question: &Question) -> Result<Annotation> {
        match &self.model.network {
            Network::Chain(chain) => self.annotate_by(chain, question),
            Network::Huginn(huginn) => self.annotate_by(huginn, question),
        }
    }

    fn annotate_by<G: Generator>(&self, generator: &G, question: &Question) -> Result<Annotation> {
        let prompt = Dialogue::of(&self.model)?.prompt(&question.question)?;
        let asked = Asked { prompt, target: question.target };
        let mut trajectories = self.trajectories(generator, &asked)?;
        let correct: Vec<bool> = trajectories.iter().map(|one| one.correct).collect();
        let mixed = correct.contains(&true) && correct.contains(&false);
        let mut annotation = Annotation { index: question.index, correct, kept: None, rollouts: 0 };
        let thought = trajectories.iter().any(|one| !one.latents.is_empty());
        if thought && (mixed || self.keep == Keep::All) {
            let steps = self.sampling.steps(&self.model);
            let mut estimations = vec![vec![0.0; steps]; trajectories.len()];
            for t in 1..=steps {
                annotation.rollouts +=
                    self.value(generator, &asked, &mut trajectories, t, &mut estimations)?;
            }
            annotation.kept = Some(self.gather(generator.closes(), &asked, &trajectories, estimations)?);
        }
        Ok(annotation)
    }

    /// N trajectories as inference draws them, with their answers.
    fn trajectories<G: Generator>(&self, generator: &G, asked: &Asked) -> Result<Vec<Trajectory<G::Prefix>>> {
        let Sampling { seed, perturbation, trajectories: n, .. } = self.sampling;
        let steps = self.sampling.steps(&self.model);
        let draws = draws(seed, &asked.prompt, Stream::Trajectory, 0..n);
        let mut thoughts = generator.prefill(&asked.prompt, steps, &draws, seed, perturbation)?;
        let mut prefixes: Vec<VecDeque<G::Prefix>> = (0..n).map(|_| VecDeque::new()).collect();
        let mut keep = |thoughts: &[G::Thought], t: usize| -> Result<()> {
            for (prefixes, thought) in prefixes.iter_mut().zip(thoughts) {
                if thought.latents().len() == t {
                    prefixes.push_back(generator.prefix(thought, perturbation)?);
                }
            }
            Ok(())
        };
        let begun = generator.prefilled_steps();
        for t in 1..=begun {
            keep(&thoughts, t)?;
        }
        for t in begun + 1..=steps {
            thoughts = advance(generator, thoughts, &draws, perturbation)?;
            keep(&thoughts, t)?;
        }
        let latents: Vec<Vec<Latent>> = thoughts.iter().map(|thought| thought.latents().to_vec()).collect();
        let answers = generator.read_out(thoughts, self.sampling.max_answer_tokens, perturbation)?;
        let rows = prefixes.into_iter().zip(latents).zip(answers);
        rows.map(|((prefixes, latents), answer)| {
            let correct = self.is_right(&answer, asked)?;
            Ok(Trajectory { prefixes, latents, answer, correct })
        })
        .collect()
    }

    /// Sets ỹ_t of every trajectory that has z_t, and returns the number of rollouts: those of all trajectories go on
    /// together, or those of each where they have a prompt of their own and its keys and values are many.
    fn value<G: Generator>(
        &self,
        generator: &G,
        asked: &Asked,
        trajectories: &mut [Trajectory<G::Prefix>],
        t: usize,
        estimations: &mut [Vec<f32>],
    ) -> Result<usize> {
        let Sampling { perturbation, .. } = self.sampling;
        let steps = self.sampling.steps(&self.model);
        let mut branches = Vec::new();
        let mut valued = Vec::new();
        let mut rollouts = 0;
        for (n, trajectory) in trajectories.iter_mut().enumerate() {
            let Trajectory { prefixes, latents, correct, .. } = trajectory;
            let (Some(prefix), Some(before)) = (prefixes.pop_front(), latents.get(..t)) else { continue };
            let estimation = &mut estimations[n][t - 1];
            if G::is_certain(perturbation, t, latents.len(), steps) {
                *estimation = f32::from(u8::from(*correct));
                continue;
            }
            let draws = self.draws(asked, t, n);
            match generator.resume(prefix, &asked.prompt, before, draws.clone(), perturbation)? {
                Resumed::Together(branch) => {
                    branches.push(branch);
                    valued.push(n);
                }
                Resumed::Apart(thoughts) => {
                    let thoughts = self.go_on(generator, thoughts, &draws, t)?;
                    let right = self.right(generator, thoughts, asked)?;
                    *estimation = share(&right);
                    rollouts += right.len();
                }
            }
        }
        if branches.is_empty() {
            return Ok(rollouts);
        }
        let draws: Vec<Draw> = branches.iter().flat_map(|branch| branch.draws.clone()).collect();
        let stepped = generator.step(branches, perturbation)?;
        // A thought that had ended would come back once for all of its draws; prefixes have not.
        let thoughts: Vec<G::Thought> = stepped.into_iter().flatten().collect();
        let thoughts = self.go_on(generator, thoughts, &draws, t + 1)?;
        let right = self.right(generator, thoughts, asked)?;
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
    fn go_on<R: Reasoner>(
        &self,
        reasoner: &R,
        mut thoughts: Vec<R::Thought>,
        draws: &[Draw],
        latents: usize,
    ) -> Result<Vec<R::Thought>> {
        for _ in latents..self.sampling.steps(&self.model) {
            thoughts = advance(reasoner, thoughts, draws, self.sampling.perturbation)?;
        }
        Ok(thoughts)
    }

    /// Whether the answer of each rollout is right.
    fn right<G: Generator>(
        &self,
        generator: &G,
        thoughts: Vec<G::Thought>,
        asked: &Asked,
    ) -> Result<Vec<bool>> {
        let Sampling { perturbation, max_answer_tokens, .. } = self.sampling;
        let answers = generator.answer(thoughts, max_answer_tokens, perturbation)?;
        answers.iter().map(|answer| self.is_right(answer, asked)).collect()
    }

    /// Annotation reads what was generated alone, without the question (spec latenttts §9.12).
    fn is_right(&self, answer: &[u32], asked: &Asked) -> Result<bool> {
        Ok(Dialogue::of(&self.model)?.value(&[], 0, answer)? == asked.target)
    }

    fn gather<P>(
        &self,
        closes: Option<u32>,
        asked: &Asked,
        trajectories: &[Trajectory<P>],
        estimations: Vec<Vec<f32>>,
    ) -> Result<Kept> {
        let (ids, placeholder) = (&self.model.ids, placeholder(&self.model));
        let row = |one: &Trajectory<P>| {
            let mut row = asked.prompt.clone();
            row.extend(std::iter::repeat_n(placeholder, one.latents.len()));
            row.extend(closes);
            row.extend(&one.answer);
            row.extend(ids.eos.first());
            row
        };
        let mut rows: Vec<Vec<u32>> = trajectories.iter().map(row).collect();
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let pad = ids.pad.or(ids.eos.first().copied()).unwrap_or(0);
        rows.iter_mut().for_each(|row| row.resize(longest, pad));
        let steps = self.sampling.steps(&self.model);
        let mut latents = Vec::with_capacity(trajectories.len());
        for one in trajectories {
            let mut channels = Latent::to_rows(&one.latents).map_err(fathom_model::Error::from)?;
            channels.resize(steps, vec![0.0; self.model.width()]);
            latents.push(channels);
        }
        Ok(Kept { ids: rows, estimations, latents })
    }
}

/// What stands for a latent in a sequence of tokens: the model's own placeholder, or the id behind its vocabulary, which is no
/// token of any prompt.
pub fn placeholder(model: &Model) -> u32 {
    model.ids.latent.unwrap_or(model.config.vocab_size() as u32)
}

/// The next step of each thought.
fn advance<R: Reasoner>(
    reasoner: &R,
    thoughts: Vec<R::Thought>,
    draws: &[Draw],
    perturbation: Perturbation,
) -> Result<Vec<R::Thought>> {
    let branches =
        thoughts.into_iter().zip(draws).map(|(thought, &draw)| Branch { thought, draws: vec![draw] });
    Ok(reasoner.step(branches.collect(), perturbation)?.into_iter().flatten().collect())
}

fn share(right: &[bool]) -> f32 {
    right.iter().filter(|&&right| right).count() as f32 / right.len() as f32
}
