//! What a problem is to be like, before it is told.

use super::{
    difficulty::{Difficulty, Operation},
    draws::Draws,
};

/// What the last sentence asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// One person's amount.
    Amount,
    /// The sum over all persons.
    Total,
    /// What one person has more than another.
    Difference,
}

/// The plan of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// Worked steps, those of the ending included.
    pub(super) steps: usize,
    /// Persons whose amounts the answer follows from.
    pub(super) persons: usize,
    /// What is asked.
    pub(super) ending: Ending,
    /// Sentences that the answer does not follow from.
    pub(super) distractors: usize,
}

impl Shape {
    /// A plan of so many steps. More persons than steps + 1 cannot meet in one number.
    pub(super) fn draw(difficulty: &Difficulty, steps: u32, draws: &mut Draws) -> Option<Self> {
        let most = steps + 1;
        let persons =
            draws.between(*difficulty.persons.start().min(&most), *difficulty.persons.end().min(&most))?;
        let mut endings = vec![Ending::Amount];
        if persons >= 2 {
            let asked = |operation| difficulty.operations.contains(&operation);
            endings.extend(asked(Operation::Total).then_some(Ending::Total));
            endings.extend(asked(Operation::Difference).then_some(Ending::Difference));
        }
        let ending = *draws.choose(&endings)?;
        let distractors = draws.below(difficulty.distractors + 1) as usize;
        Some(Self { steps: steps as usize, persons: persons as usize, ending, distractors })
    }

    /// Steps before the question; none where the question alone takes more.
    pub(super) fn steps_told(&self) -> Option<usize> {
        self.steps.checked_sub(match self.ending {
            Ending::Amount => 0,
            Ending::Total => self.persons - 1,
            Ending::Difference => 1,
        })
    }
}
