//! Problems as tokens, and the order in which they come.

use fathom::random::{Coordinates, Draw, Site, words};
use fathom_model::{config::SpecialIds, tokenizer::Tokenizer};
use fathom_search::prompt::Dialogue;

use crate::{data::Example, error::Result};

/// A problem as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Up to the first thought, or to the answer.
    pub(crate) prompt: Vec<u32>,
    /// Each step that is written out.
    pub(crate) steps: Vec<Vec<u32>>,
    /// The answer with the token that ends it.
    pub(crate) answer: Vec<u32>,
}

impl Encoded {
    /// The forms of a COCONUT chain (spec latenttts §1.2), or of recurrent depth, whose answer stands behind a space.
    pub(crate) fn new(
        problem: &Example,
        dialogue: &Dialogue<'_>,
        tokenizer: &Tokenizer,
        ids: &SpecialIds,
        chain: bool,
    ) -> Result<Self> {
        let step = |step: &String| Ok(tokenizer.encode(&format!("{step}\n"), false)?);
        let answer = if chain { format!("### {}", problem.answer) } else { format!(" {}", problem.answer) };
        let mut answer = tokenizer.encode(&answer, false)?;
        answer.extend(ids.eos.first());
        Ok(Self {
            prompt: dialogue.prompt(&problem.question)?,
            steps: problem.steps.iter().map(step).collect::<Result<_>>()?,
            answer,
        })
    }
}

impl Encoded {
    /// Tokens in all.
    pub(crate) fn len(&self) -> usize {
        self.prompt.len() + self.steps.iter().map(Vec::len).sum::<usize>() + self.answer.len()
    }
}

/// The problems of step `step` (from 0): every epoch goes through all of them once, in an order of its own.
pub(crate) fn batch(key: impl Fn(u64) -> u64, count: usize, size: usize, step: u64) -> Vec<usize> {
    let first = step as u128 * size as u128;
    (first..first + size as u128)
        .map(|at| {
            let (epoch, place) = ((at / count as u128) as u64, (at % count as u128) as usize);
            permuted(key(epoch), count, place)
        })
        .collect()
}

/// Where a permutation of 0 … `count` that the key names takes `place`: a Feistel network of four rounds over the next power of
/// four, walked until it ends below `count`.
fn permuted(key: u64, count: usize, place: usize) -> usize {
    let half = (usize::BITS - count.next_power_of_two().leading_zeros()).div_ceil(2);
    let mask = (1u64 << half) - 1;
    let mut at = place as u64;
    loop {
        let (mut left, mut right) = (at >> half, at & mask);
        for round in 0..4 {
            let draw = Draw { key, trajectory: 0 };
            let of = Coordinates { draw, position: right as u32, iteration: round };
            let [mixed, ..] = words(of, Site::Embedding, 0);
            (left, right) = (right, left ^ u64::from(mixed) & mask);
        }
        at = left << half | right;
        if at < count as u64 {
            return at as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_goes_through_all_problems_once() {
        for count in [1, 2, 3, 10, 64, 1000] {
            for key in [0, 7] {
                let mut order: Vec<usize> = (0..count).map(|place| permuted(key, count, place)).collect();
                let shuffled = order.clone();
                order.sort_unstable();
                assert_eq!(order, (0..count).collect::<Vec<_>>());
                assert!(count < 10 || shuffled != order, "{count} are in order");
            }
        }
        let two_epochs: Vec<usize> = (0..5).flat_map(|step| batch(|epoch| epoch, 10, 4, step)).collect();
        for epoch in two_epochs.chunks(10) {
            let mut epoch = epoch.to_vec();
            epoch.sort_unstable();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(two_epochs[..10], two_epochs[10..]);
    }
}
