//! A problem from its number.

use super::{
    Problem,
    difficulty::{Difficulty, Operation},
    draws::Draws,
    join::join,
    lexicon::AND,
    shape::{Ending, Shape},
    story::{Amount, Story},
    templates::{self as say, Filling},
};
use crate::error::{Error, Result};

/// Plans that are tried, and attempts at each. A story told at random may end beside its plan; most problems need
/// fewer than ten attempts, and a difficulty that thousands of attempts do not meet leaves nothing worth drawing.
const SHAPES: u32 = 256;
const ATTEMPTS: u32 = 32;
/// Sentences that may turn out impossible within one attempt.
const TRIES: usize = 48;

/// Problem `index` of a seed: a pure function of its arguments. Its number of steps is drawn first and kept; the rest of
/// its plan is drawn anew where no story meets it.
///
/// # Errors
/// A difficulty that makes no sense, or that no problem was found for.
pub fn generate(seed: u64, index: u64, difficulty: &Difficulty) -> Result<Problem> {
    difficulty.check()?;
    let steps = Draws::new(seed, index, 0, 0).between(*difficulty.steps.start(), *difficulty.steps.end());
    let steps = steps.unwrap_or(*difficulty.steps.start());
    let plans = (1..=SHAPES).filter_map(|number| {
        let shape = Shape::draw(difficulty, steps, &mut Draws::new(seed, index, number, 0))?;
        let told = shape.steps_told()?;
        Some((1..=ATTEMPTS).map(move |attempt| (shape, told, Draws::new(seed, index, number, attempt))))
    });
    let mut problems =
        plans.flatten().filter_map(|(shape, told, draws)| tell(difficulty, &shape, told, draws));
    problems.next().ok_or_else(|| Error::Option {
        option: "steps",
        what: format!("no problem of {steps} steps was found within the other settings"),
    })
}

/// One attempt: a story all of which the answer follows from, and distractors in it.
fn tell(difficulty: &Difficulty, shape: &Shape, steps: usize, draws: Draws) -> Option<Problem> {
    let mut story = Story::new(difficulty, shape, draws)?;
    let within = |operation: &Operation| !operation.ends() && *operation != Operation::Compare;
    let operations: Vec<Operation> = difficulty.operations.iter().copied().filter(within).collect();
    let compare = difficulty.operations.contains(&Operation::Compare);
    story.start()?;
    for _ in 0..TRIES {
        let (absent, left) = (shape.persons - story.amounts.len(), steps - story.steps.len());
        if absent == 0 && left == 0 {
            break;
        }
        if absent > 0 && (left == 0 || operations.is_empty() || story.draws.coin()) {
            // Two persons in three are told by another, as far as that is possible.
            if !(compare && story.draws.below(3) > 0 && story.happens(Operation::Compare, steps)) {
                story.start()?;
            }
        } else if let Some(&operation) = story.draws.choose(&operations) {
            story.happens(operation, steps);
        }
    }
    if story.amounts.len() < shape.persons || story.steps.len() < steps {
        return None;
    }
    let (asked, answer) = story.ask(shape.ending)?;
    if !story.needs_all(answer) {
        return None;
    }
    story.distract(shape.distractors)?;
    story.sentences.push(asked);
    Some(Problem {
        question: story.sentences.join(" "),
        steps: join(story.steps, difficulty.joined),
        answer: answer.value.to_string(),
    })
}

impl Story<'_> {
    /// The question and its answer.
    fn ask(&mut self, ending: Ending) -> Option<(String, Amount)> {
        let first = self.draws.below(self.amounts.len() as u32) as usize;
        let order = (0..self.amounts.len()).map(|i| (first + i) % self.amounts.len());
        match ending {
            Ending::Amount => {
                let person = order.into_iter().find(|&person| self.needs_all(self.amounts[person]))?;
                let filling = Filling { p: self.name(person), ..Filling::default() };
                Some((self.phrase(say::AMOUNT, filling)?, self.amounts[person]))
            }
            Ending::Total => {
                let order: Vec<usize> = order.collect();
                let mut amounts =
                    order.iter().map(|&person| self.amounts[person]).collect::<Vec<_>>().into_iter();
                let mut sum = amounts.next()?;
                for amount in amounts {
                    sum = self.step(sum, '+', amount)?;
                }
                let names: Vec<&str> = order.iter().map(|&person| self.name(person)).collect();
                let (last, before) = names.split_last()?;
                let p = format!("{} {AND} {last}", before.join(", "));
                Some((self.phrase(say::TOTAL, Filling { p: &p, ..Filling::default() })?, sum))
            }
            Ending::Difference => {
                let second = (first + 1 + self.draws.below(self.amounts.len() as u32 - 1) as usize)
                    % self.amounts.len();
                let (a, b) = (self.amounts[first].value, self.amounts[second].value);
                let (more, fewer) = if a > b { (first, second) } else { (second, first) };
                let gap = self.step(self.amounts[more], '-', self.amounts[fewer]).filter(|_| a != b)?;
                let filling = Filling { p: self.name(more), q: self.name(fewer), ..Filling::default() };
                Some((self.phrase(say::DIFFERENCE, filling)?, gap))
            }
        }
    }

    /// Puts `count` sentences among those told, each after the introduction of whom it is about, no two alike but for
    /// their number.
    fn distract(&mut self, count: usize) -> Option<()> {
        let mut used = Vec::new();
        while used.len() < count {
            let person = self.draws.below(self.persons.len() as u32) as usize;
            let about = if self.draws.coin() { say::ASIDE } else { say::APART };
            let template = self.draws.below(about.len() as u32) as usize;
            let subject = if about == say::ASIDE { self.name(person) } else { "" };
            if used.contains(&(subject, template)) {
                continue;
            }
            used.push((subject, template));
            let n = self.number(self.difficulty.limit)?;
            let filling = Filling { p: self.name(person), n, ..Filling::default() };
            let sentence = self.phrase(about.get(template..=template)?, filling)?;
            let name = self.name(person);
            let introduced = self.sentences.iter().position(|sentence| sentence.contains(name))?;
            let place = self.draws.between(introduced as u32 + 1, self.sentences.len() as u32)? as usize;
            self.sentences.insert(place, sentence);
        }
        Some(())
    }
}
