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

    /// As [`Executor::allocate`], with the bytes that there are.
    pub(super) fn allocate(&self, bytes: usize) -> Result<(u64, usize)> {
        if !self.executor.pools() {
            return Ok((self.executor.allocate(bytes)?, bytes));
        }
        let class = class(bytes);
        if let Some(kept) = self.take(class) {
            return Ok(kept);
        }
        let fresh = match self.executor.allocate(class) {
            Err(_) if self.release() => self.executor.allocate(class)?,
            fresh => fresh?,
        };
        Ok((fresh, class))
    }

    /// Idle memory of a class; in place of large memory a quarter more at most.
    fn take(&self, class: usize) -> Option<(u64, usize)> {
        let most = if class > CLASSES_TO { class + class / 4 } else { class };
        let mut idle = self.idle();
        let (&bytes, addresses) =
            idle.range_mut(class..=most).find(|(_, addresses)| !addresses.is_empty())?;
        addresses.pop_first().map(|address| (address, bytes))
    }

    /// As [`Executor::free`].
    ///
    /// # Safety
    /// `allocate` gave it with so many bytes, and nobody uses it afterwards.
    pub(super) unsafe fn free(&self, address: u64, bytes: usize) {
        if self.executor.pools() {
            self.idle().entry(bytes).or_default().insert(address);
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.executor.free(address, bytes) }
        }
    }

    /// Gives the driver what nobody uses: whether there was any.
    pub(super) fn release(&self) -> bool {
        let idle = std::mem::take(&mut *self.idle());
        let some = idle.values().any(|addresses| !addresses.is_empty());
        for (bytes, addresses) in idle {
            // SAFETY: allocated with this size, given back, and no longer listed.
            addresses.into_iter().for_each(|address| unsafe { self.executor.free(address, bytes) });
        }
        some
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
    let step = match bytes {
        ..=CLASSES_TO => (bytes.next_power_of_two() / 8).max(256),
        _ => GRANULE,
    };
    bytes.checked_next_multiple_of(step).unwrap_or(bytes)
}

#[cfg(test)]
#[path = "arena/tests.rs"]
mod tests;
