//! Rows of a pass that belong to one sequence.

use std::ops::Range;

use super::Sequence;
use crate::{Result, error::check};

/// Consecutive positions of one sequence, a row each.
#[derive(Debug)]
pub struct Run<'a> {
    sequence: &'a mut Sequence,
    first: usize,
    count: usize,
}

impl<'a> Run<'a> {
    /// Admits `count` positions to `sequence`.
    pub fn admit(sequence: &'a mut Sequence, count: usize) -> Self {
        let first = sequence.admit(count);
        Self { sequence, first, count }
    }

    /// The last `count` positions that `sequence` has admitted, for passes that visit them again.
    ///
    /// # Errors
    /// More positions than it has.
    pub fn revisit(sequence: &'a mut Sequence, count: usize) -> Result<Self> {
        let len = sequence.len();
        check("revisit", count <= len, || format!("the last {count} positions of {len}"))?;
        Ok(Self { sequence, first: len - count, count })
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Absolute positions of the rows.
    pub fn positions(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// The sequence.
    pub fn sequence(&mut self) -> &mut Sequence {
        self.sequence
    }
}

impl AsRef<Sequence> for Run<'_> {
    fn as_ref(&self) -> &Sequence {
        self.sequence
    }
}
