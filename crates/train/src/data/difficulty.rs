//! How hard problems are, as a value.

use std::{collections::BTreeSet, fmt, ops::RangeInclusive, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Steps that a problem can have.
pub const STEPS: RangeInclusive<u32> = 1..=8;
/// Factors and divisors that a sentence can state.
pub const FACTORS: RangeInclusive<u32> = 2..=9;
/// Persons whose things a problem can count.
pub const PERSONS: RangeInclusive<u32> = 1..=4;

/// A kind of sentence that takes steps, or a kind of question that does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A stated number comes in: `a+n`.
    Add,
    /// A stated number goes: `a-n`.
    Sub,
    /// A stated factor: `a*k`.
    Mul,
    /// `a*2`.
    Double,
    /// Half goes, of an even number: `a/2`.
    Half,
    /// One of k equal parts stays, where they come out even: `a/k`.
    Divide,
    /// k groups of n come in or go: `k*n`, then a sum or a difference.
    Groups,
    /// One more person, whose amount is told from another's: as many, n more, n fewer, k times, half as many.
    Compare,
    /// From one person to another: n, half, or all.
    Transfer,
    /// The question asks for the sum over all persons.
    Total,
    /// The question asks how many more one person has than another.
    Difference,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Double,
        Self::Half,
        Self::Divide,
        Self::Groups,
        Self::Compare,
        Self::Transfer,
        Self::Total,
        Self::Difference,
    ];

    /// Its name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Double => "double",
            Self::Half => "half",
            Self::Divide => "divide",
            Self::Groups => "groups",
            Self::Compare => "compare",
            Self::Transfer => "transfer",
            Self::Total => "total",
            Self::Difference => "difference",
        }
    }

    /// Whether it is a question's kind.
    pub(super) fn ends(self) -> bool {
        matches!(self, Self::Total | Self::Difference)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|operation| operation.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("unknown operation {text:?}; known: {known}")
        })
    }
}

/// What problems may hold. Ranges include both ends; each problem draws its number of steps, persons and distractors
/// evenly, as far as such a problem can be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Difficulty {
    /// Worked steps, within [`STEPS`].
    pub steps: RangeInclusive<u32>,
    /// Numbers that sentences state, factors aside.
    pub numbers: RangeInclusive<u32>,
    /// Stated factors, divisors and counts of groups, within [`FACTORS`].
    pub factors: RangeInclusive<u32>,
    /// The largest result of any step; the smallest is 0.
    pub limit: u32,
    /// Which sentences and questions occur.
    pub operations: BTreeSet<Operation>,
    /// Persons whose amounts the answer follows from, within [`PERSONS`], at most one more than there are steps.
    pub persons: RangeInclusive<u32>,
    /// The most sentences of a problem that its answer does not follow from.
    pub distractors: u32,
    /// The most operations that are written as one worked step, where each begins with the number that the one before it came to; within [`STEPS`].
    pub joined: u32,
}

impl Default for Difficulty {
    /// One to three steps, numbers of one or two digits, one or two persons, every operation, no distractors.
    fn default() -> Self {
        Self {
            steps: 1..=3,
            numbers: 2..=30,
            factors: 2..=5,
            limit: 999,
            operations: Operation::ALL.into(),
            persons: 1..=2,
            distractors: 0,
            joined: 1,
        }
    }
}

impl Difficulty {
    /// Refuses values that make no sense. Sensible ones may still leave no problem, which [`super::generate`] tells.
    ///
    /// # Errors
    /// [`Error::Option`] with the field's name.
    pub fn check(&self) -> Result<()> {
        let refuse = |option, what: String| Err(Error::Option { option, what });
        let within = [
            ("steps", &self.steps, STEPS),
            ("factors", &self.factors, FACTORS),
            ("persons", &self.persons, PERSONS),
            ("numbers", &self.numbers, 1..=self.limit),
        ];
        for (option, range, bounds) in within {
            let (start, end) = (range.start(), range.end());
            if start > end || !bounds.contains(start) || !bounds.contains(end) {
                let what = format!("{start}..{end} is no range within {}..{}", bounds.start(), bounds.end());
                return refuse(option, what);
            }
        }
        if !(1..=LARGEST_LIMIT).contains(&self.limit) {
            return refuse("limit", format!("must be from 1 to {LARGEST_LIMIT}"));
        }
        if self.distractors > MOST_DISTRACTORS {
            return refuse("distractors", format!("must be from 0 to {MOST_DISTRACTORS}"));
        }
        if !STEPS.contains(&self.joined) {
            return refuse("joined", format!("must be from {} to {}", STEPS.start(), STEPS.end()));
        }
        match self.operations.iter().all(|operation| operation.ends()) && *self.persons.end() == 1 {
            true => refuse("operations", "none applies to one person's amount".to_owned()),
            false => Ok(()),
        }
    }
}

/// Products of two such numbers are far from the end of their type.
const LARGEST_LIMIT: u32 = 1_000_000;
const MOST_DISTRACTORS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for operation in Operation::ALL {
            assert_eq!(operation.to_string().parse(), Ok(operation));
            assert_eq!(serde_json::to_value(operation).unwrap(), operation.name());
        }
        let error = "mod".parse::<Operation>().unwrap_err();
        assert!(error.contains("\"mod\"") && error.contains("add, sub, mul"), "{error}");
    }

    #[test]
    fn a_difficulty_names_what_is_wrong_with_it() {
        Difficulty::default().check().unwrap();
        let wrong = |change: fn(&mut Difficulty)| {
            let mut difficulty = Difficulty::default();
            change(&mut difficulty);
            difficulty.check().unwrap_err().to_string()
        };
        assert_eq!(wrong(|d| d.steps = 0..=3), "steps: 0..3 is no range within 1..8");
        assert_eq!(wrong(|d| d.steps = 4..=9), "steps: 4..9 is no range within 1..8");
        #[allow(clippy::reversed_empty_ranges, reason = "that is what has to be refused")]
        {
            assert_eq!(wrong(|d| d.steps = 3..=2), "steps: 3..2 is no range within 1..8");
        }
        assert_eq!(wrong(|d| d.factors = 1..=3), "factors: 1..3 is no range within 2..9");
        assert_eq!(wrong(|d| d.persons = 1..=5), "persons: 1..5 is no range within 1..4");
        assert_eq!(wrong(|d| d.numbers = 5..=1000), "numbers: 5..1000 is no range within 1..999");
        assert_eq!(wrong(|d| d.limit = 2_000_000), "limit: must be from 1 to 1000000");
        assert_eq!(wrong(|d| d.distractors = 5), "distractors: must be from 0 to 4");
        assert_eq!(wrong(|d| d.joined = 0), "joined: must be from 1 to 8");
        let only_total = |d: &mut Difficulty| {
            (d.operations, d.persons) = ([Operation::Total].into(), 1..=1);
        };
        assert_eq!(wrong(only_total), "operations: none applies to one person's amount");
    }
}
