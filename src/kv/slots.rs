//! Which slots a pass writes and reads.

/// Slots of the sequences of a pass.
#[derive(Debug, Clone, Copy)]
pub enum Slots<'a> {
    /// The same of all sequences: the first is written, and of each position the first that it has is read.
    All(&'a [usize]),
    /// Of each sequence its own: rows of one pass may stand at different iterations.
    Each(&'a [Reads]),
}

/// Slots of one sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Where its keys and values go.
    pub written: usize,
    /// Of each position the first of these that it has is read.
    pub slots: Vec<usize>,
}

impl<'a> Slots<'a> {
    /// What is read of a sequence, by its place in the pass.
    pub(crate) fn of(self, sequence: usize) -> &'a [usize] {
        match self {
            Slots::All(slots) => slots,
            Slots::Each(reads) => reads.get(sequence).map_or(&[], |reads| &reads.slots),
        }
    }

    /// The slot that a sequence's keys and values go to.
    pub(crate) fn written(self, sequence: usize) -> usize {
        match self {
            Slots::All(slots) => slots.first().copied().unwrap_or(0),
            Slots::Each(reads) => reads.get(sequence).map_or(0, |reads| reads.written),
        }
    }

    /// The slot that kernels add to every address: launches of layers differ in it alone where all sequences have the same.
    pub(crate) fn base(self) -> usize {
        match self {
            Slots::All(slots) => slots.first().copied().unwrap_or(0),
            Slots::Each(_) => 0,
        }
    }
}

impl<'a> From<&'a [usize]> for Slots<'a> {
    fn from(slots: &'a [usize]) -> Self {
        Slots::All(slots)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Slots<'a> {
    fn from(slots: &'a [usize; N]) -> Self {
        Slots::All(slots)
    }
}
