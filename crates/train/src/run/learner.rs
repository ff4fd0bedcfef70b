//! The networks that a run trains, and the loss of a batch of problems.

use fathom::{
    Device, Tensor,
    random::{Coordinates, Draw, Site, Stream, key, truncated_normals},
};
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, SpecialIds},
};

use super::{
    config::{Method, Stage, Targets},
    problems::Encoded,
};
use crate::{
    error::{Error, Result},
    initial::Initial,
    objective::{
        chain::{Chain, Dropout, Example},
        recurrence::{Examples, Iterations, RecurrentDepth},
    },
    parameters::{Gradients, Parameters},
    recurrence::Recurrence,
};

/// A network with the way it learns.
#[derive(Debug)]
pub(crate) enum Learner {
    Recurrent {
        model: Box<RecurrentDepth>,
        recurrence: Recurrence,
        targets: Targets,
        written: bool,
        state: State,
    },
    Chain {
        model: Box<Chain>,
        stages: Vec<Stage>,
        dropout: f32,
        latent_end: u32,
    },
}

/// How s_0 is drawn (spec huginn §1.7).
#[derive(Debug, Clone, Copy)]
pub(crate) struct State {
    width: usize,
    std: f32,
}

/// A loss with what it was formed over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss {
    pub(crate) mean: f64,
    /// Tokens that went through the network.
    pub(crate) tokens: usize,
}

impl Learner {
    pub(crate) fn new(
        method: &Method,
        config: &Config,
        ids: &SpecialIds,
        (seed, weights): (u64, Option<&Checkpoint>),
        device: &Device,
    ) -> Result<Self> {
        let mut initial = Initial { seed };
        let mut read = weights;
        let source: &mut dyn crate::parameters::Source = match &mut read {
            Some(weights) => weights,
            None => &mut initial,
        };
        let wrong = |what: &str| Error::Option { option: "method", what: what.into() };
        match (method, config) {
            (Method::RecurrentDepth { recurrence, targets, written_steps, .. }, Config::Huginn(shape)) => {
                let state = State { width: shape.width, std: shape.init_std * (shape.width as f32).sqrt() };
                Ok(Self::Recurrent {
                    model: Box::new(RecurrentDepth::new(shape, source, device)?),
                    recurrence: *recurrence,
                    targets: *targets,
                    written: *written_steps,
                    state,
                })
            }
            (Method::Coconut { stages, dropout }, Config::Gpt2(_)) => Ok(Self::Chain {
                model: Box::new(Chain::new(config, source, device)?),
                stages: stages.clone(),
                dropout: *dropout,
                latent_end: ids.latent_end.ok_or_else(|| wrong("wants <|end-latent|>"))?,
            }),
            (Method::RecurrentDepth { .. }, _) => Err(wrong("recurrent-depth wants a model of that kind")),
            (Method::Coconut { .. }, _) => Err(wrong("coconut wants a GPT-2 model")),
        }
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        match self {
            Self::Recurrent { model, .. } => model.parameters(),
            Self::Chain { model, .. } => model.parameters(),
        }
    }

    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Parameters) -> Result<()>) -> Result<()> {
        match self {
            Self::Recurrent { model, .. } => model.update(change),
            Self::Chain { model, .. } => model.update(change),
        }
    }

    /// Whether the optimizer begins anew before step `step` (from 0).
    pub(crate) fn begins_anew(&self, step: u64) -> bool {
        match self {
            Self::Recurrent { .. } => false,
            Self::Chain { stages, .. } => stages.iter().any(|stage| stage.until == step),
        }
    }

    /// The loss of a batch at step `step` (from 0), whose gradients are added.
    pub(crate) fn learn(
        &self,
        problems: &[&Encoded],
        (seed, step): (u64, u64),
        gradients: &mut Gradients,
    ) -> Result<Loss> {
        let key = key(seed, &[], Stream::Training(step));
        match self {
            Self::Recurrent { recurrence, .. } => {
                self.recurrent(problems, key, recurrence.sample(key), Some(gradients))
            }
            Self::Chain { dropout, .. } => {
                let dropout = (*dropout > 0.0).then_some(Dropout { p: *dropout, key });
                self.chain(problems, step, dropout, Some(gradients))
            }
        }
    }

    /// The loss of problems that it does not learn from, as the stage of `step` has it, or after `steps` iterations.
    pub(crate) fn judge(
        &self,
        problems: &[&Encoded],
        (seed, step): (u64, u64),
        steps: usize,
    ) -> Result<Loss> {
        match self {
            Self::Recurrent { .. } => {
                let key = key(seed, &[], Stream::State);
                self.recurrent(problems, key, Iterations { without: steps, with: 0 }, None)
            }
            Self::Chain { .. } => self.chain(problems, step, None, None),
        }
    }

    fn recurrent(
        &self,
        problems: &[&Encoded],
        key: u64,
        iterations: Iterations,
        gradients: Option<&mut Gradients>,
    ) -> Result<Loss> {
        let Self::Recurrent { model, targets: which, written, state, .. } = self else {
            return Err(Error::Option { option: "method", what: "is not recurrent depth".into() });
        };
        let (mut texts, mut targets) = (Vec::with_capacity(problems.len()), Vec::new());
        for problem in problems {
            let mut text = problem.prompt.clone();
            if *written {
                text.extend(problem.steps.iter().flatten());
            }
            text.extend(&problem.answer);
            // The last token is a target alone.
            let counts = |at: usize| *which == Targets::All || at >= problem.prompt.len();
            targets.extend((1..text.len()).map(|at| counts(at).then(|| text[at])));
            text.pop();
            texts.push(text);
        }
        let tokens: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let rows = targets.len();
        let mut initial = vec![0.0; rows * state.width];
        let places = tokens.iter().enumerate().flat_map(|(index, tokens)| {
            (0..tokens.len()).map(move |position| (index as u32, position as u32))
        });
        for (row, (trajectory, position)) in initial.chunks_mut(state.width).zip(places) {
            let at = Coordinates { draw: Draw { key, trajectory }, position, iteration: 0 };
            truncated_normals(row, at, Site::State);
            row.iter_mut().for_each(|x| *x *= state.std);
        }
        let initial = Tensor::new(model.parameters().device(), rows, state.width, initial)?;
        let examples = Examples { tokens: &tokens, targets: &targets, initial };
        Ok(Loss { mean: model.loss(examples, iterations, gradients)?, tokens: rows })
    }

    fn chain(
        &self,
        problems: &[&Encoded],
        step: u64,
        dropout: Option<Dropout>,
        gradients: Option<&mut Gradients>,
    ) -> Result<Loss> {
        let Self::Chain { model, stages, latent_end, .. } = self else {
            return Err(Error::Option { option: "method", what: "is not a chain".into() });
        };
        let stage = stages.iter().find(|stage| step < stage.until).or(stages.last());
        let (skip, thoughts) = stage.map_or((0, 0), |stage| (stage.skip, stage.thoughts));
        let tail = |problem: &&Encoded| {
            let written = problem.steps.iter().skip(skip).flatten();
            [*latent_end].iter().chain(written).chain(&problem.answer).copied().collect()
        };
        let tails: Vec<Vec<u32>> = problems.iter().map(tail).collect();
        let pairs = problems.iter().zip(&tails);
        let examples: Vec<Example<'_>> =
            pairs.map(|(problem, tail)| Example { prompt: &problem.prompt, tail }).collect();
        let tokens = examples.iter().map(|one| one.prompt.len() + thoughts + one.tail.len() - 1).sum();
        Ok(Loss { mean: model.loss(&examples, thoughts, dropout, gradients)?, tokens })
    }
}
