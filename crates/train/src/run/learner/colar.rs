//! CoLaR's compressed chains.

use fathom::random::{Coordinates, Draw, Site, words};

use super::{At, Learner, Loss};
use crate::{
    error::Result,
    objective::{
        chain::{Chain, Dropout},
        colar::{Example, Losses},
    },
    parameters::{Gradients, Parameters},
    run::{AtDepth, Part, problems::Encoded},
};

/// Tokens of a step that a thought stands for where it is validated: those of the published prompt (spec latenttts §1.4).
const VALIDATED: usize = 2;

#[derive(Debug)]
pub(super) struct Colar {
    pub(super) chain: Chain,
    /// Tokens of a step that a thought stands for, at most.
    pub(super) speeds: usize,
    /// Factor of the latent head's error.
    pub(super) latents: f64,
    pub(super) dropout: f32,
    pub(super) latent_end: u32,
}

impl Colar {
    fn loss(
        &self,
        problems: &[&Encoded],
        (speed, key): (usize, u64),
        dropout: Option<Dropout>,
        gradients: Option<&mut Gradients>,
    ) -> Result<Loss> {
        let parts = |(index, problem): (usize, &&Encoded)| {
            let steps = problem.steps.concat();
            let choose = |(thought, group): (usize, &[u32])| {
                let at = at(key, index as u32, thought as u32 + 1);
                group[below(at, group.len())]
            };
            let labels: Vec<u32> = steps.chunks(speed).enumerate().map(choose).collect();
            (problem.prompt_at(speed), steps, labels, [&[self.latent_end], &*problem.answer].concat())
        };
        let parts: Vec<_> = problems.iter().enumerate().map(parts).collect();
        let examples: Vec<Example<'_>> = parts
            .iter()
            .map(|(prompt, steps, labels, tail)| Example { prompt, steps, labels, tail })
            .collect();
        let tokens =
            examples.iter().map(|one| one.prompt.len() + one.labels.len() + one.tail.len() - 1).sum();
        let Losses { tokens: foreseen, latents } =
            self.chain.compressed(&examples, speed, self.latents, dropout, gradients)?;
        let parts = [("tokens", foreseen), ("latents", latents)].map(Part::from).into();
        Ok(Loss { mean: foreseen + self.latents * latents, parts, tokens })
    }
}

impl Learner for Colar {
    fn parameters(&self) -> &Parameters {
        self.chain.parameters()
    }

    fn update(&mut self, change: &mut dyn FnMut(&mut Parameters) -> Result<()>) -> Result<()> {
        self.chain.update(change)
    }

    fn learn(&mut self, problems: &[Encoded], at_step: At, gradients: &mut Gradients) -> Result<Loss> {
        let key = at_step.key(&[]);
        let speed = 1 + below(at(key, 0, 0), self.speeds);
        let dropout = at_step.dropout(self.dropout, &[]);
        self.loss(&at_step.choose(problems), (speed, key), dropout, Some(gradients))
    }

    fn judge(&self, problems: &[Encoded], at: At) -> Result<Vec<AtDepth>> {
        let speed = VALIDATED.min(self.speeds);
        let key = At { step: 0, ..at }.key(&[]);
        let (loss, parts) = at.mean(problems, |batch| self.loss(batch, (speed, key), None, None))?;
        Ok(vec![AtDepth { r: 0, loss, parts, states: None }])
    }
}

/// The speed of a step at position 0, the labels of an example behind it.
fn at(key: u64, trajectory: u32, position: u32) -> Coordinates {
    Coordinates { draw: Draw { key, trajectory }, position, iteration: 0 }
}

/// An integer below `n`, 0 if that is 0: ⌊word · n / 2³²⌋.
fn below(at: Coordinates, n: usize) -> usize {
    let [word, ..] = words(at, Site::Latent, 0);
    ((u64::from(word) * n as u64) >> 32) as usize
}
