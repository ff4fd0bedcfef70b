//! Problems as tokens, and the order in which they come.

use fathom::random::{Coordinates, Draw, Site, words};
use fathom_model::{config::SpecialIds, latent::Kind, tokenizer::Tokenizer};
use fathom_search::prompt::Dialogue;

use super::method::Method;
use crate::{data::Example, error::Result};

/// A problem as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Up to the first thought, or to the answer; CoLaR's up to where speeds differ.
    pub(crate) prompt: Vec<u32>,
    /// CoLaR's prompt from there on, at each speed from 1 on.
    endings: Vec<Vec<u32>>,
    /// Each step that is written out.
    pub(crate) steps: Vec<Vec<u32>>,
    /// What CODI's answer begins with: its states are compared at the end of it.
    pub(crate) lead: Vec<u32>,
    /// The answer with the token that ends it.
    pub(crate) answer: Vec<u32>,
}

/// How problems become tokens.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    dialogue: Dialogue<'a>,
    tokenizer: &'a Tokenizer,
    ids: &'a SpecialIds,
    kind: Option<Kind>,
    speeds: usize,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(method: &Method, tokenizer: &'a Tokenizer, ids: &'a SpecialIds) -> Self {
        let (kind, speeds) = match *method {
            Method::RecurrentDepth { .. } => (None, 0),
            Method::Coconut { .. } => (Some(Kind::Coconut), 0),
            Method::Codi { .. } => (Some(Kind::Codi), 0),
            Method::Colar { speeds, .. } => (Some(Kind::Colar), speeds),
        };
        Self { dialogue: Dialogue::new(tokenizer, ids, kind), tokenizer, ids, kind, speeds }
    }

    /// The forms of spec latenttts §1.2–1.4, or of recurrent depth, whose answer stands behind a space.
    pub(crate) fn encode(&self, problem: &Example) -> Result<Encoded> {
        let encode = |text: &str| -> Result<Vec<u32>> { Ok(self.tokenizer.encode(text, false)?) };
        let stated = &problem.answer;
        let (lead, answer) = match self.kind {
            None => ("", format!(" {stated}")),
            Some(Kind::Coconut) => ("", format!("### {stated}")),
            Some(Kind::Codi) => ("The answer is:", format!(" {stated}")),
            Some(Kind::Colar) => ("", format!("Answer:{stated}")),
        };
        let mut answer = encode(&answer)?;
        answer.extend(self.ids.eos.first());
        let (prompt, endings) = self.prompts(&problem.question)?;
        let steps = problem.steps.iter().map(|step| encode(&format!("{step}\n")));
        Ok(Encoded { prompt, endings, steps: steps.collect::<Result<_>>()?, lead: encode(lead)?, answer })
    }

    fn prompts(&self, question: &str) -> Result<(Vec<u32>, Vec<Vec<u32>>)> {
        if self.speeds == 0 {
            return Ok((self.dialogue.prompt(question)?, Vec::new()));
        }
        let at = |speed| Ok(self.dialogue.prompt_at_speed(question, speed)?);
        let prompts = (1..=self.speeds).map(at).collect::<Result<Vec<_>>>()?;
        let (first, others) = prompts.split_first().map_or((&[][..], &[][..]), |(a, b)| (&a[..], b));
        let alike = |other: &Vec<u32>| first.iter().zip(other).take_while(|(a, b)| a == b).count();
        let common = others.iter().map(alike).min().unwrap_or(first.len());
        let endings = prompts.iter().map(|prompt| prompt[common..].to_vec()).collect();
        Ok((first[..common].to_vec(), endings))
    }
}

impl Encoded {
    /// Tokens in all.
    pub(crate) fn len(&self) -> usize {
        let ending = self.endings.iter().map(Vec::len).max().unwrap_or(0);
        let steps: usize = self.steps.iter().map(Vec::len).sum();
        self.prompt.len() + ending + steps + self.lead.len() + self.answer.len()
    }

    /// CoLaR's prompt where a thought stands for `speed` tokens.
    pub(crate) fn prompt_at(&self, speed: usize) -> Vec<u32> {
        let ending = speed.checked_sub(1).and_then(|index| self.endings.get(index));
        self.prompt.iter().chain(ending.into_iter().flatten()).copied().collect()
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
pub(super) fn permuted(key: u64, count: usize, place: usize) -> usize {
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
