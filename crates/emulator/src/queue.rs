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
            let words = self.operations[self.done].payload;
            self.words.drain(..words);
            self.operations.drain(..self.done);
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
