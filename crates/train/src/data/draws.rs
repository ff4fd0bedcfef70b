//! Integers and choices from a counter.

use fathom::random::{Stream, key, philox4x32};

/// The words of one attempt at one problem, in order.
#[derive(Debug)]
pub(super) struct Draws {
    key: u64,
    /// Block, attempt, shape.
    counter: [u32; 4],
    used: usize,
    words: [u32; 4],
}

impl Draws {
    /// The words of `attempt` at `shape` of problem `index`.
    pub(super) fn new(seed: u64, index: u64, shape: u32, attempt: u32) -> Self {
        let halves = [index as u32, (index >> 32) as u32];
        Self {
            key: key(seed, &halves, Stream::Data),
            counter: [0, attempt, shape, 0],
            used: 4,
            words: [0; 4],
        }
    }

    /// An integer below `n`, which is not 0; 0 if it is. Even but for 2⁻³²·n.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        if self.used == self.words.len() {
            self.words = philox4x32(self.counter, self.key);
            self.counter[0] += 1;
            self.used = 0;
        }
        let word = self.words[self.used];
        self.used += 1;
        ((u64::from(word) * u64::from(n)) >> 32) as u32
    }

    /// An integer from `low` to `high`, both included; nothing where there is none.
    pub(super) fn between(&mut self, low: u32, high: u32) -> Option<u32> {
        (low <= high).then(|| low + self.below(high - low + 1))
    }

    /// True once in two.
    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// One of `items`, none of an empty list.
    pub(super) fn choose<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        let index = self.below(items.len() as u32) as usize;
        items.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_documented_counter() {
        let (seed, index) = (7, 5 + (3 << 32));
        let key = key(seed, &[5, 3], Stream::Data);
        let mut draws = Draws::new(seed, index, 2, 9);
        for block in 0..3 {
            for word in philox4x32([block, 9, 2, 0], key) {
                // ⌊word·n / 2³²⌋ for n = 2³¹.
                assert_eq!(draws.below(1 << 31), word >> 1);
            }
        }
    }

    /// 60,000 throws of a die: each face within four standard deviations (91 each) of 10,000.
    #[test]
    fn integers_are_even() {
        let mut draws = Draws::new(0, 0, 0, 0);
        let mut faces = [0_i32; 6];
        (0..60_000).for_each(|_| faces[draws.between(0, 5).unwrap() as usize] += 1);
        assert!(faces.iter().all(|count| (count - 10_000).abs() < 365), "{faces:?}");
        assert_eq!(draws.between(3, 2), None);
        assert_eq!(draws.choose::<u8>(&[]), None);
    }
}
