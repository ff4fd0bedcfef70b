//! A problem on its way: what was said, who has how much, and what each amount follows from.

use super::{
    difficulty::Difficulty,
    draws::Draws,
    lexicon::{ITEMS, NAMES},
    shape::Shape,
    templates::{Filling, Item, Sentences, fill},
};

/// A number and where it comes from, as bits of sentences and steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    /// The number.
    pub(super) value: u32,
    /// Sentences that it follows from.
    pub(super) sentences: u32,
    /// Steps that it follows from.
    pub(super) steps: u32,
}

impl Amount {
    /// A number that the sentence being told states.
    pub(super) fn stated(value: u32) -> Self {
        Self { value, sentences: 0, steps: 0 }
    }
}

/// Sentences, steps and amounts so far.
#[derive(Debug)]
pub(super) struct Story<'a> {
    /// What it may hold.
    pub(super) difficulty: &'a Difficulty,
    /// What decides.
    pub(super) draws: Draws,
    /// Who is counted.
    pub(super) persons: Vec<&'static str>,
    /// Amounts of those persons who were introduced.
    pub(super) amounts: Vec<Amount>,
    /// Who is not counted.
    outsider: &'static str,
    item: Item,
    other: Item,
    /// What was said.
    pub(super) sentences: Vec<String>,
    /// Worked steps.
    pub(super) steps: Vec<String>,
}

impl<'a> Story<'a> {
    /// Persons and things, and nothing said.
    pub(super) fn new(difficulty: &'a Difficulty, shape: &Shape, mut draws: Draws) -> Option<Self> {
        let mut names = NAMES;
        for place in 0..=shape.persons {
            names.swap(place, place + draws.below((NAMES.len() - place) as u32) as usize);
        }
        let (persons, rest) = names.split_at_checked(shape.persons)?;
        let outsider = *rest.first()?;
        let item = draws.below(ITEMS.len() as u32) as usize;
        let shift = 1 + draws.below(ITEMS.len() as u32 - 1) as usize;
        let (item, other) = (ITEMS.get(item)?, ITEMS.get((item + shift) % ITEMS.len())?);
        Some(Self {
            difficulty,
            draws,
            persons: persons.to_vec(),
            amounts: Vec::new(),
            outsider,
            item: *item,
            other: *other,
            sentences: Vec::new(),
            steps: Vec::new(),
        })
    }

    /// `left` `sign` `right` as a step of the sentence being told; nothing where the result is negative, broken or
    /// beyond the limit.
    pub(super) fn step(&mut self, left: Amount, sign: char, right: Amount) -> Option<Amount> {
        let (a, b) = (left.value, right.value);
        let value = match sign {
            '+' => a.checked_add(b),
            '-' => a.checked_sub(b),
            '*' => a.checked_mul(b),
            _ => a.checked_div(b).filter(|quotient| quotient * b == a),
        }?;
        if value > self.difficulty.limit {
            return None;
        }
        let steps = left.steps | right.steps | 1 << self.steps.len();
        self.steps.push(format!("<<{a}{sign}{b}={value}>>"));
        Some(Amount { value, steps, ..self.told(left, right) })
    }

    /// Both, as the sentence being told relates them.
    fn told(&self, left: Amount, right: Amount) -> Amount {
        let sentences = left.sentences | right.sentences | 1 << self.sentences.len();
        Amount { value: left.value, sentences, steps: left.steps | right.steps }
    }

    /// An amount as the sentence being told states or repeats it.
    pub(super) fn again(&self, amount: Amount) -> Amount {
        self.told(amount, amount)
    }

    /// Whether `amount` follows from everything that was told.
    pub(super) fn needs_all(&self, amount: Amount) -> bool {
        let all = |count: usize| (1_u32 << count) - 1;
        let (sentences, steps) = (all(self.sentences.len()), all(self.steps.len()));
        amount.sentences & sentences == sentences && amount.steps & steps == steps
    }

    /// A stated number of at most `most`.
    pub(super) fn number(&mut self, most: u32) -> Option<u32> {
        let numbers = &self.difficulty.numbers;
        self.draws.between(*numbers.start(), most.min(*numbers.end()))
    }

    /// A stated factor of at most `most`.
    pub(super) fn factor(&mut self, most: u32) -> Option<u32> {
        let factors = &self.difficulty.factors;
        self.draws.between(*factors.start(), most.min(*factors.end()))
    }

    /// The name of a person, by its number; the outsider's where there is none.
    pub(super) fn name(&self, person: usize) -> &'static str {
        self.persons.get(person).copied().unwrap_or(self.outsider)
    }

    /// One of the templates about `p` and the outsider, filled.
    pub(super) fn phrase(&mut self, templates: Sentences, filling: Filling<'_>) -> Option<String> {
        let template = self.draws.choose(templates)?;
        let q = if filling.q.is_empty() { self.outsider } else { filling.q };
        Some(fill(template, &Filling { q, item: self.item, other: self.other, ..filling }))
    }
}
