//! Asynchronous operations under way.

use crate::abi::Deferred;
use crate::site::RawSite;
use std::ffi::c_void;

/// `emu::Queue`: whose operations wait together.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "kernels construct them")]
pub(crate) enum Kind {
    /// `cp.async`: a thread's.
    Copy,
    /// `wgmma`: a warp's.
    Matrix,
    /// Tensor-map copies: the block's; they complete on mbarriers, not in groups.
    Bulk,
}

struct Operation {
    run: Deferred,
    /// Where its payload starts in `words`.
    payload: usize,
    site: RawSite,
}

/// Operations in the order of issue, in groups that end at commits.
#[derive(Default)]
pub(crate) struct Queue {
    operations: Vec<Operation>,
    words: Vec<u64>,
    /// Operations that ran.
    done: usize,
    /// For each open group the number of operations up to its end.
    groups: std::collections::VecDeque<usize>,
}

impl Queue {
    pub(crate) fn clear(&mut self) {
        self.operations.clear();
        self.words.clear();
        self.groups.clear();
        self.done = 0;
    }

    pub(crate) fn push(&mut self, run: Deferred, payload: &[u8], site: RawSite) {
        self.compact();
        self.operations.push(Operation { run, payload: self.words.len(), site });
        self.words.extend(payload.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        }));
    }

    /// Forgets what ran, before the queue grows far.
    fn compact(&mut self) {
        if self.done == self.operations.len() {
            self.operations.clear();
            self.words.clear();
        } else if self.done >= 64 {
            self.operations.drain(..self.done);
            // Those taken out of turn have changed places.
            let words = self.operations.iter().map(|operation| operation.payload).min().unwrap_or(0);
            self.words.drain(..words);
            self.operations.iter_mut().for_each(|operation| operation.payload -= words);
        } else {
            return;
        }
        let done = std::mem::take(&mut self.done);
        self.groups.iter_mut().for_each(|end| *end -= done);
    }

    pub(crate) fn commit(&mut self) {
        self.groups.push_back(self.operations.len());
    }

    /// The next operation that must run before at most `pending` groups are under way; the payload stays valid until
    /// the next `push` or `clear`.
    pub(crate) fn next(&mut self, pending: usize) -> Option<(Deferred, *const c_void)> {
        while self.groups.len() > pending {
            if self.done < self.groups[0] {
                let operation = &self.operations[self.done];
                self.done += 1;
                return Some((operation.run, self.words[operation.payload..].as_ptr().cast()));
            }
            self.groups.pop_front();
        }
        None
    }

    /// Takes the `n`-th operation that has not run, out of turn.
    pub(crate) fn take(&mut self, n: usize) -> Option<(Deferred, *const c_void)> {
        let at = self.done + n;
        if at >= self.operations.len() {
            return None;
        }
        self.operations.swap(self.done, at);
        let operation = &self.operations[self.done];
        self.done += 1;
        Some((operation.run, self.words[operation.payload..].as_ptr().cast()))
    }

    /// Operations that have not run.
    pub(crate) fn len(&self) -> usize {
        self.operations.len() - self.done
    }

    /// Where the oldest operation that has not run was issued.
    pub(crate) fn oldest(&self) -> Option<&RawSite> {
        self.operations.get(self.done).map(|operation| &operation.site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Block;

    unsafe extern "C" fn nothing(_: *mut Block, _: *const c_void) {}

    fn push(queue: &mut Queue, n: u64) {
        let mut payload = n.to_ne_bytes().to_vec();
        payload.extend([7; 3]); // payloads need not be whole words
        queue.push(nothing, &payload, RawSite::of_tests());
    }

    fn number((_, payload): (Deferred, *const c_void)) -> u64 {
        // SAFETY: `push` stored eight bytes and more, aligned to words.
        unsafe { *payload.cast() }
    }

    #[test]
    fn groups_end_in_order_and_once() {
        let mut queue = Queue::default();
        let mut ran = Vec::new();
        for group in 0..100u64 {
            // Every fifth group is empty.
            for n in 0..if group % 5 == 4 { 0 } else { 3 } {
                push(&mut queue, group * 10 + n);
            }
            queue.commit();
            ran.extend(std::iter::from_fn(|| queue.next(2).map(number)));
            let all: Vec<u64> =
                (0..=group).filter(|g| g % 5 != 4).flat_map(|g| (0..3).map(move |n| g * 10 + n)).collect();
            let under_way: Vec<u64> = all.iter().copied().filter(|n| n / 10 + 2 > group).collect();
            assert_eq!(ran, all[..all.len() - under_way.len()]);
            assert_eq!(queue.len(), under_way.len());
        }
        assert!(queue.operations.len() < 100, "what ran is forgotten");
        push(&mut queue, 5000);
        assert_eq!(
            std::iter::from_fn(|| queue.next(0).map(number)).last(),
            Some(982),
            "5000 was not committed"
        );
    }

    #[test]
    fn operations_out_of_turn() {
        let mut queue = Queue::default();
        let mut taken = Vec::new();
        (0..1000u64).for_each(|n| {
            push(&mut queue, n);
            if n >= 20 {
                taken.extend(queue.take((n * 7 % 20) as usize).map(number));
            }
        });
        assert!(queue.operations.len() < 200, "what ran is forgotten");
        taken.extend(std::iter::from_fn(|| queue.take(0).map(number)));
        assert!(queue.oldest().is_none());
        assert_ne!(taken[..20], (0..20).collect::<Vec<_>>());
        taken.sort_unstable();
        assert_eq!(taken, (0..1000).collect::<Vec<_>>());
    }
}
