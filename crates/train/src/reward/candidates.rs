//! Trajectories of questions to validate on: drawn once, scored at each validation.

use fathom::{Device, Tensor, ops::embedding::Input, random::Stream};
use fathom_model::{
    config::StepScore,
    latents::Latent,
    load::{Model, Network},
    reasoner::{Reasoner, Thought},
};
use fathom_search::{
    aggregate::{UnparseableVotes, best_of_n, majority},
    dataset::{self, Question},
    prompt::Dialogue,
    trajectories::{Thinking, draws, think},
};

use super::{config::Validation, log::Accuracy};
use crate::{
    annotate::Sampling,
    error::Result,
    objective::reward::{Reward, Thoughts},
};

/// Of one question.
#[derive(Debug)]
struct Candidates {
    prompt: Vec<u32>,
    target: f64,
    /// z_t of all trajectories, one behind the other.
    latents: Tensor,
    lengths: Vec<usize>,
    values: Vec<f64>,
}

/// Trajectories of questions, with their answers.
#[derive(Debug)]
pub struct Trials {
    questions: Vec<Candidates>,
}

/// Questions that are scored together.
const TOGETHER: usize = 16;

impl Trials {
    /// Draws and answers as inference does; latents stay on `device`. `heard` is told of how many of the questions
    /// they are.
    ///
    /// # Errors
    /// A file that is no data set; a question that has no room in the context; a perturbation that the model does not know.
    pub fn draw(
        model: &Model,
        validation: &Validation,
        device: &Device,
        mut heard: impl FnMut(usize, usize),
    ) -> Result<Self> {
        let Validation { data, questions: most, sampling } = validation;
        let mut questions = dataset::read(data)?.questions;
        questions.truncate(most.unwrap_or(questions.len()));
        let mut drawn = Vec::with_capacity(questions.len());
        for question in &questions {
            drawn.push(match &model.network {
                Network::Chain(chain) => Candidates::draw(chain, model, question, sampling, device)?,
                Network::Huginn(huginn) => Candidates::draw(huginn, model, question, sampling, device)?,
            });
            heard(drawn.len(), questions.len());
        }
        Ok(Self { questions: drawn })
    }

    /// Number of questions.
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there is no question.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// What each question comes to where `model` chooses, by the sums of the scores of its logits.
    ///
    /// # Errors
    /// Latents of another width; a device that does not work.
    pub fn choices(&self, model: &Reward, score: StepScore) -> Result<Vec<Choice>> {
        let mut choices = Vec::with_capacity(self.questions.len());
        for questions in self.questions.chunks(TOGETHER) {
            let thoughts: Vec<Thoughts<'_>> = questions.iter().map(Candidates::thoughts).collect();
            let sum = |logits: Vec<f32>| logits.into_iter().map(|logit| score.of(logit)).sum();
            let mut scores = model.scores(&thoughts)?.into_iter().map(sum);
            for Candidates { values, target, .. } in questions {
                let scores: Vec<f32> = scores.by_ref().take(values.len()).collect();
                let hits = values.iter().filter(|value| *value == target).count();
                choices.push(Choice {
                    best_of_n: best_of_n(values, &scores).map_err(fathom_search::Error::from)? == *target,
                    majority: majority(values, UnparseableVotes::Count) == *target,
                    right: hits as f64 / values.len() as f64,
                });
            }
        }
        Ok(choices)
    }
}

/// What a question comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Whether the best-scored trajectory is right.
    pub best_of_n: bool,
    /// Whether the majority is.
    pub majority: bool,
    /// Share of the trajectories that are.
    pub right: f64,
}

impl Accuracy {
    /// Of all questions.
    pub fn of(choices: &[Choice]) -> Self {
        let share = |holds: fn(&Choice) -> bool| {
            choices.iter().filter(|choice| holds(choice)).count() as f64 / choices.len() as f64
        };
        Self {
            best_of_n: share(|choice| choice.best_of_n),
            majority: share(|choice| choice.majority),
            pass_at_1: choices.iter().map(|choice| choice.right).sum::<f64>() / choices.len() as f64,
            coverage: share(|choice| choice.right > 0.0),
        }
    }
}

impl Candidates {
    fn draw<R: Reasoner>(
        reasoner: &R,
        model: &Model,
        question: &Question,
        sampling: &Sampling,
        device: &Device,
    ) -> Result<Self> {
        let Sampling { seed, trajectories, perturbation, max_answer_tokens, .. } = *sampling;
        let thinking = Thinking { steps: sampling.steps(model), perturbation, seed };
        let dialogue = Dialogue::of(model)?;
        let prompt = dialogue.prompt(&question.question)?;
        let draws = draws(seed, &prompt, Stream::Trajectory, 0..trajectories);
        let thoughts = think(reasoner, &prompt, &draws, thinking)?;
        let latents: Vec<Vec<Latent>> = thoughts.iter().map(|one| one.latents().to_vec()).collect();
        let answers = reasoner.read_out(thoughts, max_answer_tokens, perturbation)?;
        let values = answers.iter().zip(&latents);
        let values = values.map(|(answer, latents)| dialogue.value(&prompt, latents.len(), answer));
        let rows = Latent::to_rows(&latents.concat()).map_err(fathom_model::Error::from)?;
        Ok(Self {
            target: question.target,
            latents: Tensor::new(device, rows.len(), model.width(), rows.concat())?,
            lengths: latents.iter().map(Vec::len).collect(),
            values: values.collect::<fathom_search::Result<_>>()?,
            prompt,
        })
    }

    fn thoughts(&self) -> Thoughts<'_> {
        Thoughts {
            prompt: &self.prompt,
            trajectories: rows(&self.latents, self.lengths.iter().map(|&n| (n, n))),
        }
    }
}

/// Trajectories as inputs: of each how many latents it has, and how many rows are its own.
pub(super) fn rows(latents: &Tensor, lengths: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<Input<'_>>> {
    let mut first = 0;
    let trajectory = |(length, stride)| {
        let rows = first..first + length;
        first += stride;
        rows.map(|row| Input::Row(latents, row)).collect()
    };
    lengths.map(trajectory).collect()
}
