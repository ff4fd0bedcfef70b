//! CODI's self-distillation.

use super::{At, Learner, Loss};
use crate::{
    error::Result,
    objective::{
        chain::{Chain, Dropout, Example},
        codi::{Factors, Lesson, Losses},
    },
    parameters::{Gradients, Parameters},
    run::{AtDepth, Part, problems::Encoded},
};

#[derive(Debug)]
pub(super) struct Codi {
    pub(super) chain: Chain,
    pub(super) thoughts: usize,
    pub(super) factors: Factors,
    /// Whether the teacher writes the last step.
    pub(super) last_step: bool,
    pub(super) dropout: f32,
    pub(super) latent_end: u32,
}

impl Codi {
    fn loss(
        &self,
        problems: &[&Encoded],
        dropout: [Option<Dropout>; 2],
        gradients: Option<&mut Gradients>,
    ) -> Result<Loss> {
        // The token that opens thoughts is the student's alone, and the question's last token foresees the teacher's first.
        let question = |problem: &Encoded| problem.prompt.len().saturating_sub(1);
        let tails = |problem: &&Encoded| {
            let answer = || problem.lead.iter().chain(&problem.answer);
            let written = problem.steps.len().saturating_sub(usize::from(!self.last_step));
            let first = &problem.prompt[question(problem).saturating_sub(1)..question(problem)];
            let teacher = first.iter().chain(problem.steps[..written].iter().flatten()).chain(answer());
            [teacher.copied().collect(), [self.latent_end].iter().chain(answer()).copied().collect()]
        };
        let tails: Vec<[Vec<u32>; 2]> = problems.iter().map(tails).collect();
        let pairs = problems.iter().zip(&tails);
        let lessons: Vec<Lesson<'_>> = pairs
            .map(|(problem, [teacher, student])| Lesson {
                teacher: Example {
                    prompt: &problem.prompt[..question(problem).saturating_sub(1)],
                    tail: teacher,
                },
                student: Example { prompt: &problem.prompt, tail: student },
                answer: problem.answer.len(),
            })
            .collect();
        let rows = |one: &Example<'_>| one.prompt.len() + one.tail.len() - 1;
        let tokens = lessons.iter().map(|one| rows(&one.teacher) + rows(&one.student) + self.thoughts).sum();
        let Losses { teacher, student, states } =
            self.chain.distil(&lessons, self.thoughts, self.factors, dropout, gradients)?;
        let Factors { teacher: of_teacher, student: of_student, states: of_states } = self.factors;
        let mean = of_teacher * teacher + of_student * student + of_states * states;
        let parts = [("teacher", teacher), ("student", student), ("distillation", states)];
        Ok(Loss { mean, parts: parts.map(Part::from).into(), tokens })
    }
}

impl Learner for Codi {
    fn parameters(&self) -> &Parameters {
        self.chain.parameters()
    }

    fn update(&mut self, change: &mut dyn FnMut(&mut Parameters) -> Result<()>) -> Result<()> {
        self.chain.update(change)
    }

    fn learn(&mut self, problems: &[Encoded], at: At, gradients: &mut Gradients) -> Result<Loss> {
        let dropout = [at.dropout(self.dropout, &[1]), at.dropout(self.dropout, &[])];
        self.loss(&at.choose(problems), dropout, Some(gradients))
    }

    fn judge(&self, problems: &[Encoded], at: At) -> Result<Vec<AtDepth>> {
        let (loss, parts) = at.mean(problems, |batch| self.loss(batch, [None; 2], None))?;
        Ok(vec![AtDepth { r: 0, loss, parts, states: None }])
    }
}
