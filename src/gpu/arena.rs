//! Memory that is given back and asked for again, without the driver.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Executor;
use crate::Result;

/// Up to this size memory is had in classes, four from one power of two to the next, so that rows which come and go in
/// changing numbers find what others left.
const CLASSES_TO: usize = 32 << 20;

/// Larger memory in multiples of this.
const GRANULE: usize = 2 << 20;

/// The memory of one device: what is given back is kept for who asks next, on devices where asking the driver costs time.
///
/// It is in the order of the device: whatever is submitted for the next owner runs after what was submitted for the last.
/// The lowest address of a class goes first, so that a step that is repeated finds its tensors where they were, and its
/// launches are the ones that a graph holds.
pub(crate) struct Arena {
    executor: Arc<dyn Executor>,
    /// By bytes.
    idle: Mutex<BTreeMap<usize, BTreeSet<u64>>>,
}

impl Arena {
    pub(super) fn new(executor: Arc<dyn Executor>) -> Self {
        Self { executor, idle: Mutex::default() }
    }

    pub(super) fn executor(&self) -> &dyn Executor {
        &*self.executor
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<usize, BTreeSet<u64>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Executor::allocate`].
    pub(super) fn allocate(&self, bytes: usize) -> Result<u64> {
        if !self.executor.pools() {
            return self.executor.allocate(bytes);
        }
        let class = class(bytes);
        let kept = self.idle().get_mut(&class).and_then(BTreeSet::pop_first);
        kept.map_or_else(
            || {
                self.executor.allocate(class).or_else(|_| {
                    self.release();
                    self.executor.allocate(class)
                })
            },
            Ok,
        )
    }

    /// As [`Executor::free`].
    ///
    /// # Safety
    /// `allocate` gave it for so many bytes, and nobody uses it afterwards.
    pub(super) unsafe fn free(&self, address: u64, bytes: usize) {
        if self.executor.pools() {
            self.idle().entry(class(bytes)).or_default().insert(address);
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.executor.free(address, bytes) }
        }
    }

    /// Gives the driver what nobody uses.
    fn release(&self) {
        for (bytes, addresses) in std::mem::take(&mut *self.idle()) {
            // SAFETY: allocated with this size, given back, and no longer listed.
            addresses.into_iter().for_each(|address| unsafe { self.executor.free(address, bytes) });
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Arena").field(&self.executor).finish()
    }
}

/// Bytes that are had from the driver for `bytes`, of which there is at least 1.
fn class(bytes: usize) -> usize {
    if bytes > CLASSES_TO {
        return bytes.next_multiple_of(GRANULE);
    }
    let quarter = (bytes.next_power_of_two() / 8).max(256);
    bytes.next_multiple_of(quarter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_is_asked_for_and_waste_a_quarter_at_most() {
        for bytes in (1..5000).chain([CLASSES_TO - 1, CLASSES_TO, CLASSES_TO + 1, 1 << 30]) {
            let class = class(bytes);
            assert!(class >= bytes && class.is_multiple_of(256), "{bytes}: {class}");
            assert!(class - bytes < (bytes / 4).max(256).max(GRANULE * usize::from(bytes > CLASSES_TO)));
            assert_eq!(super::class(class), class, "{bytes}");
        }
    }
}
