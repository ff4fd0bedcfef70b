//! Which problems are for training, for validation and for the test.

use std::{collections::HashSet, fmt};

use fathom::random::{Stream, key};
use rayon::prelude::*;

use super::{Problem, difficulty::Difficulty, generate::generate};
use crate::error::{Error, Result};

/// A part of the problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Nine in ten.
    Train,
    /// One in twenty.
    Valid,
    /// One in twenty.
    Test,
}

impl Split {
    /// All of them, in the order of [`Sizes::of`].
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The split of a question: by a hash of its text alone. So no question is in two of them, whatever the seeds,
    /// difficulties and sizes.
    pub fn of(question: &str) -> Self {
        Self::of_hash(hash(question))
    }

    fn of_hash(hash: u64) -> Self {
        match hash % 20 {
            0 => Self::Test,
            1 => Self::Valid,
            _ => Self::Train,
        }
    }

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The key of seed 0 for the question's characters.
fn hash(question: &str) -> u64 {
    let characters: Vec<u32> = question.chars().map(u32::from).collect();
    key(0, &characters, Stream::Data)
}

/// Problems of each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sizes {
    /// For training.
    pub train: usize,
    /// For validation.
    pub valid: usize,
    /// For the test.
    pub test: usize,
}

impl Sizes {
    /// That of one split.
    pub fn of(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Valid => self.valid,
            Split::Test => self.test,
        }
    }
}

/// Problems that are generated side by side.
const ROUND: u64 = 4096;
/// Rounds without a new problem after which there are no more.
const PATIENCE: usize = 32;

/// The first problems of a seed that belong to each split, in the order of [`Split::ALL`]; a question that came before is
/// left out. `found` hears how many more there are, now and then. A larger size keeps the problems of a smaller one.
///
/// # Errors
/// Those of [`generate`], and a difficulty with fewer different problems than asked for.
pub fn splits(
    seed: u64,
    difficulty: &Difficulty,
    sizes: Sizes,
    mut found: impl FnMut(usize),
) -> Result<[Vec<Problem>; 3]> {
    let mut kept = Split::ALL.map(|_| Vec::new());
    let mut seen = HashSet::new();
    let (mut next, mut idle) = (0, 0);
    let missing = |kept: &[Vec<Problem>; 3]| {
        Split::ALL
            .into_iter()
            .zip(kept)
            .find(|(split, problems)| problems.len() < sizes.of(*split))
            .map(|(s, _)| s)
    };
    while let Some(split) = missing(&kept) {
        let round: Vec<Problem> = (next..next + ROUND)
            .into_par_iter()
            .map(|index| generate(seed, index, difficulty))
            .collect::<Result<_>>()?;
        next += ROUND;
        let before: usize = kept.iter().map(Vec::len).sum();
        for problem in round {
            let hash = hash(&problem.question);
            let split = Split::of_hash(hash);
            let problems = &mut kept[split as usize];
            // 64 bits: two questions that share a hash would cost one of them.
            if problems.len() < sizes.of(split) && seen.insert(hash) {
                problems.push(problem);
            }
        }
        let new = kept.iter().map(Vec::len).sum::<usize>() - before;
        found(new);
        idle = if new == 0 { idle + 1 } else { 0 };
        if idle == PATIENCE {
            return Err(Error::Option {
                option: split.name(),
                what: format!(
                    "only {} different problems were found among {next} of this difficulty, not {}",
                    kept[split as usize].len(),
                    sizes.of(split)
                ),
            });
        }
    }
    Ok(kept)
}
