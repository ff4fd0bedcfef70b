//! Runs grids: blocks on rayon's threads.

use crate::arena::{Arena, Params};
use crate::tally::Tally;
use crate::{Counters, Launch, Options, Report};
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// An emulated GPU. It holds what launches reuse (stacks, shared memory); launches may overlap.
#[derive(Default)]
pub struct Machine {
    idle: Mutex<Vec<Arena>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    /// A machine that has run nothing yet.
    pub fn new() -> Machine {
        Machine::default()
    }

    /// Runs all blocks of a launch and says what they did.
    ///
    /// # Errors
    /// The [`Report`] of the first block, in the grid's order, that did not end well; later ones may not have run. What
    /// the kernel wrote until then stays written.
    ///
    /// # Safety
    /// The kernel reads and writes through addresses in `launch.params`: they must be valid for that, and nobody else
    /// may use that memory meanwhile. Of shared memory, only accesses through the typed pointers are checked. The
    /// kernel must keep no object that needs its destructor across calls into the emulator.
    pub unsafe fn run(&self, launch: &Launch<'_>, options: &Options) -> Result<Counters, Report> {
        launch.check()?;
        let params = Params::new(launch.params);
        let blocks: u64 = launch.grid.iter().map(|&n| u64::from(n)).product();
        let first_failed = AtomicU64::new(u64::MAX);
        let one = |number: u64| {
            if number > first_failed.load(Ordering::Relaxed) {
                return Ok(Tally::default());
            }
            let mut arena =
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            // SAFETY: the caller's promise.
            let outcome = unsafe { arena.run(launch, &params, options, number) };
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
            outcome.map_err(|report| {
                first_failed.fetch_min(number, Ordering::Relaxed);
                (number, report)
            })
        };
        let merge = |a: Result<Tally, (u64, Report)>, b| match (a, b) {
            (Ok(a), Ok(b)) => Ok(a.merge(b)),
            (Err(a), Err(b)) => Err(if a.0 <= b.0 { a } else { b }),
            (Err(e), Ok(_)) | (Ok(_), Err(e)) => Err(e),
        };
        let outcome = if blocks == 1 {
            one(0)
        } else {
            (0..blocks).into_par_iter().map(one).reduce(|| Ok(Tally::default()), merge)
        };
        outcome.map(Tally::finish).map_err(|(_, report)| report)
    }
}
