//! COCONUT's curriculum.

use super::{At, Learner, Loss};
use crate::{
    error::Result,
    objective::chain::{Chain, Dropout, Example},
    parameters::{Gradients, Parameters},
    run::{AtDepth, Stage, problems::Encoded},
};

#[derive(Debug)]
pub(super) struct Coconut {
    pub(super) chain: Chain,
    pub(super) stages: Vec<Stage>,
    pub(super) dropout: f32,
    pub(super) latent_end: u32,
}

impl Coconut {
    fn loss(
        &self,
        problems: &[&Encoded],
        step: u64,
        dropout: Option<Dropout>,
        gradients: Option<&mut Gradients>,
    ) -> Result<Loss> {
        let stage = self.stages.iter().find(|stage| step < stage.until).or(self.stages.last());
        let (skip, thoughts) = stage.map_or((0, 0), |stage| (stage.skip, stage.thoughts));
        let tail = |problem: &&Encoded| {
            let written = problem.steps.iter().skip(skip).flatten();
            [self.latent_end].iter().chain(written).chain(&problem.answer).copied().collect()
        };
        let tails: Vec<Vec<u32>> = problems.iter().map(tail).collect();
        let pairs = problems.iter().zip(&tails);
        let examples: Vec<Example<'_>> =
            pairs.map(|(problem, tail)| Example { prompt: &problem.prompt, tail }).collect();
        let tokens = examples.iter().map(|one| one.prompt.len() + thoughts + one.tail.len() - 1).sum();
        Ok(Loss {
            mean: self.chain.loss(&examples, thoughts, dropout, gradients)?,
            parts: Vec::new(),
            tokens,
        })
    }
}

impl Learner for Coconut {
    fn parameters(&self) -> &Parameters {
        self.chain.parameters()
    }

    fn update(&mut self, change: &mut dyn FnMut(&mut Parameters) -> Result<()>) -> Result<()> {
        self.chain.update(change)
    }

    fn begins_anew(&self, step: u64) -> bool {
        self.stages.iter().any(|stage| stage.until == step)
    }

    fn learn(&mut self, problems: &[Encoded], at: At, gradients: &mut Gradients) -> Result<Loss> {
        self.loss(&at.choose(problems), at.step, at.dropout(self.dropout, &[]), Some(gradients))
    }

    fn judge(&self, problems: &[Encoded], at: At) -> Result<Vec<AtDepth>> {
        let (loss, parts) = at.mean(problems, |batch| self.loss(batch, at.step, None, None))?;
        Ok(vec![AtDepth { r: 0, loss, parts, states: None }])
    }
}
