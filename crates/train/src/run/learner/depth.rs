//! Recurrent depth.

use fathom::{
    Tensor,
    random::{Coordinates, Draw, Site, Stream, key, truncated_normals},
};

use super::{At, Learner, Loss};
use crate::{
    error::{Error, Result},
    objective::{
        dynamics::Sums,
        recurrence::{Examples, RecurrentDepth},
    },
    parameters::{Gradients, Parameters},
    recurrence::Recurrence,
    run::{
        AtDepth, Targets,
        method::Packing,
        packing::{Packer, Piece},
        problems::Encoded,
    },
};

#[derive(Debug)]
pub(super) struct Depth {
    pub(super) model: RecurrentDepth,
    pub(super) recurrence: Recurrence,
    pub(super) targets: Targets,
    pub(super) written_steps: bool,
    pub(super) validate_at: Vec<usize>,
    pub(super) packing: Option<Packing>,
    /// Where there is packing, from when the problems are known.
    pub(super) packer: Option<Packer>,
    pub(super) state: State,
}

/// How s_0 is drawn (spec huginn §1.7).
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) width: usize,
    /// Before normals are cut at three of them.
    pub(super) std: f32,
}

/// Sequences with what each position is to predict.
#[derive(Debug, Default)]
struct Rows {
    tokens: Vec<Vec<u32>>,
    targets: Vec<Option<u32>>,
}

impl Rows {
    /// A sequence, with a target for each of its tokens.
    fn push(&mut self, tokens: &[u32], targets: impl Iterator<Item = Option<u32>>) {
        self.tokens.push(tokens.to_vec());
        self.targets.extend(targets);
    }
}

impl Depth {
    fn text(&self, problem: &Encoded) -> Vec<u32> {
        let steps = problem.steps.iter().flatten().filter(|_| self.written_steps);
        problem.prompt.iter().chain(steps).chain(&problem.answer).copied().collect()
    }

    /// Each problem a sequence of its own; its last token is a target alone.
    fn alone(&self, problems: &[&Encoded]) -> Rows {
        let mut rows = Rows::default();
        for problem in problems {
            let text = self.text(problem);
            let counts = |at: usize| self.targets == Targets::All || at >= problem.prompt.len();
            let targets = (1..text.len()).map(|at| counts(at).then_some(text[at]));
            rows.push(&text[..text.len() - 1], targets);
        }
        rows
    }

    /// A packed row, of which the last token is a target alone: one sequence, or under a mask one for each of its pieces, and
    /// none of another's tokens a target. Attention reads positions by their difference, so that a piece may count from 0.
    fn pack(&self, problems: &[Encoded], pieces: &[Piece], mask: bool, rows: &mut Rows) {
        let (mut row, mut left) = (Vec::new(), pieces.len());
        for Piece { text, tokens } in pieces {
            row.extend_from_slice(&self.text(&problems[*text])[tokens.clone()]);
            left -= 1;
            if mask && left > 0 {
                let next = row.iter().skip(1).map(|&token| Some(token));
                rows.push(&row, next.chain([None]));
                row.clear();
            }
        }
        if let [inputs @ .., _] = &*row
            && !inputs.is_empty()
        {
            rows.push(inputs, row.iter().skip(1).map(|&token| Some(token)));
        }
    }

    /// Examples with s_0 by (example, position).
    fn examples<'a>(&self, rows: &'a Rows, tokens: &'a [&'a [u32]], key: u64) -> Result<Examples<'a>> {
        let State { width, std } = self.state;
        let mut initial = vec![0.0; rows.targets.len() * width];
        let places = tokens.iter().enumerate().flat_map(|(index, tokens)| {
            (0..tokens.len()).map(move |position| (index as u32, position as u32))
        });
        for (row, (trajectory, position)) in initial.chunks_mut(width.max(1)).zip(places) {
            let at = Coordinates { draw: Draw { key, trajectory }, position, iteration: 0 };
            truncated_normals(row, at, Site::State);
            row.iter_mut().for_each(|x| *x *= std);
        }
        let device = self.model.parameters().device();
        let initial = Tensor::new(device, rows.targets.len(), width, initial)?;
        Ok(Examples { tokens, targets: &rows.targets, initial })
    }
}

impl Learner for Depth {
    fn parameters(&self) -> &Parameters {
        self.model.parameters()
    }

    fn update(&mut self, change: &mut dyn FnMut(&mut Parameters) -> Result<()>) -> Result<()> {
        self.model.update(change)
    }

    fn prepare(&mut self, problems: &[Encoded]) -> Result<()> {
        let Some(packing) = self.packing else { return Ok(()) };
        let lengths = problems.iter().map(|problem| self.text(problem).len()).collect();
        self.packer = Packer::new(packing, lengths);
        match &self.packer {
            Some(_) => Ok(()),
            None => Err(Error::Option {
                option: "method.packing",
                what: format!("all problems together have no row of {} tokens", packing.length + 1),
            }),
        }
    }

    fn learn(&mut self, problems: &[Encoded], at: At, gradients: &mut Gradients) -> Result<Loss> {
        let key = at.key(&[]);
        let rows = match (&mut self.packer, self.packing) {
            (Some(packer), Some(Packing { mask, .. })) => {
                let first = at.step * at.batch as u64;
                let indices = first..first + at.batch as u64;
                let packed: Vec<Vec<Piece>> =
                    indices.map(|index| packer.row(index, |epoch| at.order(epoch))).collect();
                let mut rows = Rows::default();
                packed.iter().for_each(|pieces| self.pack(problems, pieces, mask, &mut rows));
                rows
            }
            _ => self.alone(&at.choose(problems)),
        };
        let tokens: Vec<&[u32]> = rows.tokens.iter().map(Vec::as_slice).collect();
        let examples = self.examples(&rows, &tokens, key)?;
        let mean = self.model.loss(examples, self.recurrence.sample(key), Some(gradients))?;
        Ok(Loss { mean, parts: Vec::new(), tokens: rows.targets.len() })
    }

    fn judge(&self, problems: &[Encoded], at: At) -> Result<Vec<AtDepth>> {
        let key = key(at.seed, &[], Stream::State);
        let judge = |&r: &usize| {
            let mut sums = Sums::default();
            let (loss, parts) = at.mean(problems, |batch| {
                let rows = self.alone(batch);
                let tokens: Vec<&[u32]> = rows.tokens.iter().map(Vec::as_slice).collect();
                let examples = self.examples(&rows, &tokens, key)?;
                let mean = self.model.observe(examples, r, &mut sums)?;
                Ok(Loss { mean, parts: Vec::new(), tokens: rows.targets.len() })
            })?;
            Ok(AtDepth { r, loss, parts, states: sums.means() })
        };
        self.validate_at.iter().map(judge).collect()
    }
}
