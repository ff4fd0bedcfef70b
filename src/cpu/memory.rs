//! Memory of activations that is given back and asked for again, without the allocator: fresh pages cost more than what small
//! networks compute in them.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::{Deref, DerefMut},
};

use rayon::prelude::*;

use crate::lines::Lines;

/// Smaller vectors are the allocator's: it keeps them itself.
const LEAST: usize = 1 << 12;

/// Elements that a thread keeps at most while nobody uses them.
const MOST: usize = 1 << 26;

/// Elements a task moves: what a core moves while another wakes.
const CHUNK: usize = 1 << 16;

thread_local! {
    // Memory alone: who takes it writes to it before anyone reads.
    static IDLE: RefCell<Idle> = const { RefCell::new(Idle { vectors: BTreeMap::new(), elements: 0 }) };
}

/// What was given back on a thread.
struct Idle {
    /// By length.
    vectors: BTreeMap<usize, Vec<Lines<f32>>>,
    /// All of them together.
    elements: usize,
}

/// A vector whose memory the thread that drops it keeps for the next.
#[derive(Debug, Default)]
pub(crate) struct Memory(Lines<f32>);

impl Memory {
    /// At least `elements`, of unspecified values.
    pub(crate) fn unspecified(elements: usize) -> Self {
        let length = class(elements);
        let kept = || IDLE.try_with(|idle| idle.borrow_mut().take(length)).ok().flatten();
        let kept = if length < LEAST { None } else { kept() };
        Self(kept.unwrap_or_else(|| Lines::zeros(length)))
    }

    /// Zeros.
    pub(crate) fn zeros(elements: usize) -> Self {
        let mut memory = Self::unspecified(elements);
        clear(&mut memory.0[..elements]);
        memory
    }

    /// A copy of `data`.
    pub(crate) fn copy(data: &[f32]) -> Self {
        let mut memory = Self::unspecified(data.len());
        let places = memory.0[..data.len()].par_chunks_mut(CHUNK);
        places.zip(data.par_chunks(CHUNK)).for_each(|(place, data)| place.copy_from_slice(data));
        memory
    }

    /// Room for `elements`; those that there were stay.
    pub(crate) fn grow(&mut self, elements: usize) {
        if elements > self.0.len() {
            let mut larger = Self::unspecified(elements);
            larger.0[..self.0.len()].copy_from_slice(&self.0);
            *self = larger;
        }
    }

    /// The vector itself, which is nobody's to keep.
    pub(crate) fn into_vec(mut self) -> Vec<f32> {
        std::mem::take(&mut self.0).into_vec()
    }
}

/// All become 0.
pub(crate) fn clear(data: &mut [f32]) {
    data.par_chunks_mut(CHUNK).for_each(|data| data.fill(0.0));
}

impl From<Vec<f32>> for Memory {
    fn from(data: Vec<f32>) -> Self {
        Self(data.into())
    }
}

impl Deref for Memory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let vector = std::mem::take(&mut self.0);
        // Of a class, or nobody would find it again.
        if vector.len() >= LEAST && vector.len() == class(vector.len()) {
            // A thread that ends keeps nothing.
            let _ended = IDLE.try_with(|idle| idle.borrow_mut().keep(vector));
        }
    }
}

impl Idle {
    fn take(&mut self, length: usize) -> Option<Lines<f32>> {
        let vector = self.vectors.get_mut(&length)?.pop()?;
        self.elements -= length;
        Some(vector)
    }

    fn keep(&mut self, vector: Lines<f32>) {
        if self.elements + vector.len() <= MOST {
            self.elements += vector.len();
            self.vectors.entry(vector.len()).or_default().push(vector);
        }
    }
}

/// The length that is had for `elements`: four from one power of two to the next, so that rows which come and go in changing
/// numbers find what others left.
fn class(elements: usize) -> usize {
    if elements < LEAST {
        return elements;
    }
    elements.next_multiple_of(elements.next_power_of_two() / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a tensor leaves is had again for any number of elements of its class, zeros are zeros there, and growing keeps
    /// what there was.
    #[test]
    fn memory_comes_back() {
        let mut first = Memory::unspecified(LEAST + 1);
        first.fill(3.0);
        let address = first.as_ptr();
        drop(first);
        let second = Memory::zeros(LEAST + 2);
        assert_eq!(second.as_ptr(), address);
        assert!(second[..LEAST + 2].iter().all(|&x| x == 0.0));
        let mut grown = Memory::copy(&[1.0, 2.0]);
        grown.grow(4 * LEAST);
        assert_eq!((&grown[..2], grown.len()), (&[1.0, 2.0][..], 4 * LEAST));
    }

    /// Nothing is kept beyond the most, and a vector of no class goes to the allocator.
    #[test]
    fn what_is_idle_is_bounded() {
        let mut idle = Idle { vectors: BTreeMap::new(), elements: MOST - LEAST };
        idle.keep(Lines::zeros(LEAST));
        idle.keep(Lines::zeros(LEAST));
        assert_eq!((idle.elements, idle.vectors[&LEAST].len()), (MOST, 1));
        assert!(idle.take(LEAST).is_some() && idle.take(LEAST).is_none());
        drop(Memory::from(vec![0.0; LEAST + 1]));
        assert!(IDLE.with(|idle| idle.borrow_mut().take(LEAST + 1)).is_none());
    }

    /// A class is at least what was asked for, at most a quarter more, and its own class.
    #[test]
    fn classes_are_near() {
        for elements in (0..1 << 20).step_by(997).chain([LEAST - 1, LEAST, 1 << 22]) {
            let length = class(elements);
            assert!(elements <= length && length <= elements + elements / 4, "{elements}: {length}");
            assert_eq!(class(length), length);
        }
    }
}
