//! Runs grids: blocks on rayon's threads, a block's threads as fibers on one of them.

use crate::abi::{Head, TABLE};
use crate::block::Block;
use crate::tally::Tally;
use crate::{Counters, Launch, Options, Report};
use corosensei::stack::{DefaultStack, Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult};
use rayon::prelude::*;
use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Stack of a fiber; below it lies a guard page.
const STACK_BYTES: usize = 128 * 1024;
/// A fresh block's shared memory: NaN as f32 and as bf16, -1 as an integer.
const POISON: u8 = 0xff;

/// A stack whose hot end lies elsewhere than its neighbours' within a page, so that fibers do not compete for the same
/// few sets of the cache.
struct Coloured {
    stack: DefaultStack,
    offset: usize,
}

// SAFETY: DefaultStack's promises, of a part of it.
unsafe impl Stack for Coloured {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.stack.base().get() - self.offset).unwrap_or_else(|| self.stack.base())
    }

    fn limit(&self) -> StackPointer {
        self.stack.limit()
    }
}

type Fiber = Coroutine<(), (), (), Coloured>;

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

/// A launch's parameter bytes, aligned as a kernel may ask (a tensor map: 64).
struct Params(Vec<Line>);

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

impl Params {
    fn new(bytes: &[u8]) -> Params {
        let line = |chunk: &[u8]| {
            let mut line = Line([0; 64]);
            line.0[..chunk.len()].copy_from_slice(chunk);
            line
        };
        Params(bytes.chunks(64).map(line).collect())
    }

    fn at(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }
}

/// Shared memory of one block at a time, 1024-byte aligned as swizzled tiles need it.
struct Shared {
    at: NonNull<u8>,
}

impl Shared {
    const LAYOUT: Layout = match Layout::from_size_align(256 * 1024, 1024) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn new() -> Shared {
        // SAFETY: the layout is not empty.
        let at = unsafe { std::alloc::alloc(Self::LAYOUT) };
        Shared { at: NonNull::new(at).unwrap_or_else(|| std::alloc::handle_alloc_error(Self::LAYOUT)) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { std::alloc::dealloc(self.at.as_ptr(), Self::LAYOUT) }
    }
}

/// What one OS thread needs to run a block.
struct Arena {
    block: Box<Block>,
    async_view: Shared,
    fibers: Vec<Fiber>,
    stacks: Vec<Coloured>,
    shared: Shared,
}

// SAFETY: between blocks there are no fibers, and the pointers left in `block` are not read before it is reset.
unsafe impl Send for Arena {}

impl Default for Arena {
    fn default() -> Self {
        let (shared, async_view) = (Shared::new(), Shared::new());
        let none = Default::default();
        let head = Head {
            api: &TABLE,
            current: std::ptr::null_mut(),
            shared: shared.at.as_ptr(),
            async_view: async_view.at.as_ptr(),
            shared_bytes: 0,
            profile: 0,
            grid: none,
            block: none,
            index: none,
        };
        Arena {
            block: Box::new(Block::new(head)),
            fibers: Vec::new(),
            stacks: Vec::new(),
            shared,
            async_view,
        }
    }
}

impl Arena {
    /// Runs block `number` of the grid.
    ///
    /// # Safety
    /// That of [`Machine::run`].
    unsafe fn run(
        &mut self,
        launch: &Launch<'_>,
        params: &Params,
        options: &Options,
        number: u64,
    ) -> Result<Tally, Report> {
        let [x, y, _] = launch.grid.map(u64::from);
        let index = [(number % x) as u32, (number / x % y) as u32, (number / x / y) as u32];
        // SAFETY: LAYOUT has room for every launch that `check` lets pass.
        unsafe {
            self.shared.at.as_ptr().write_bytes(POISON, launch.shared_bytes as usize);
            self.async_view.at.as_ptr().write_bytes(POISON, launch.shared_bytes as usize);
        }
        let head = &mut self.block.head;
        head.shared_bytes = launch.shared_bytes;
        head.profile = options.profile.into();
        (head.grid, head.block) = (launch.grid.into(), launch.block.into());
        self.block.reset(index, number, options);

        while self.stacks.len() < launch.threads() {
            let stack = DefaultStack::new(STACK_BYTES).map_err(|error| Report::Host(error.to_string()))?;
            self.stacks.push(Coloured { stack, offset: self.stacks.len() % 61 * 320 });
        }
        let block: *mut Block = &raw mut *self.block;
        let (kernel, params) = (launch.entry.raw.run, params.at());
        for _ in 0..launch.threads() {
            let Some(stack) = self.stacks.pop() else { break };
            self.fibers.push(Coroutine::with_stack(stack, move |yielder, ()| {
                // SAFETY: the scheduler below holds no reference while a fiber runs; the kernel is the caller's.
                unsafe {
                    (*block).enter(yielder);
                    kernel(params, block);
                }
            }));
        }
        // SAFETY: `block` outlives the fibers, which `schedule` and the loop after it end.
        unsafe { schedule(block, &mut self.fibers) };
        // While the fibers stand, since a deadlock's report reads from their stacks.
        let outcome = self.block.conclude();
        for mut fiber in self.fibers.drain(..) {
            if !fiber.done() {
                // SAFETY: a fiber stands in `abi::switch` or has not begun; neither kernels (the caller's promise) nor
                // the frames of `abi` keep anything on its stack that needs dropping.
                unsafe { fiber.force_reset() };
            }
            self.stacks.push(fiber.into_stack());
        }
        outcome
    }
}

/// Resumes fibers until nothing in the block can go on.
///
/// # Safety
/// `block` is valid and referenced by nobody else; fiber t is its thread t.
unsafe fn schedule(block: *mut Block, fibers: &mut [Fiber]) {
    // SAFETY: no reference to the block is held while a fiber or a deferred operation runs.
    unsafe {
        while !(*block).failed() {
            if let Some(thread) = (*block).next() {
                if let CoroutineResult::Return(()) = fibers[thread].resume(()) {
                    (*block).leave();
                }
                (*block).head.current = std::ptr::null_mut();
            } else if let Some((run, payload)) = (*block).next_bulk() {
                run(block, payload);
            } else {
                break;
            }
        }
    }
}
