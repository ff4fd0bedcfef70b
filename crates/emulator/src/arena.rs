//! What one OS thread needs to run a block: shared memory, and fibers with their stacks.

use crate::abi::{Head, TABLE};
use crate::block::Block;
use crate::tally::Tally;
use crate::{Launch, Options, Report};
use corosensei::stack::{DefaultStack, Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult};
use std::alloc::Layout;
use std::ffi::c_void;
use std::ptr::NonNull;

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

/// Stacks that no fiber uses.
#[derive(Default)]
struct Stacks {
    free: Vec<Coloured>,
    made: usize,
}

impl Stacks {
    fn take(&mut self) -> Result<Coloured, Report> {
        if let Some(stack) = self.free.pop() {
            return Ok(stack);
        }
        let stack = DefaultStack::new(STACK_BYTES).map_err(|error| Report::Host(error.to_string()))?;
        self.made += 1;
        Ok(Coloured { stack, offset: self.made % 61 * 320 })
    }
}

type Kernel = unsafe extern "C" fn(*const c_void, *mut Block);
type Fiber = Coroutine<(), (), (), Coloured>;

/// A launch's parameter bytes, aligned as a kernel may ask (a tensor map: 64).
pub(crate) struct Params(Vec<Line>);

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

impl Params {
    pub(crate) fn new(bytes: &[u8]) -> Params {
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

/// As much as a block can have, aligned as swizzled tiles need it.
#[repr(align(1024))]
struct SharedBytes {
    _bytes: [u8; crate::launch::SHARED_LIMIT as usize],
}

/// Shared memory of one block at a time.
struct Shared {
    at: NonNull<u8>,
}

impl Shared {
    const LAYOUT: Layout = Layout::new::<SharedBytes>();

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
pub(crate) struct Arena {
    block: Box<Block>,
    /// Shared memory as asynchronous reads see it.
    async_view: Shared,
    /// By thread; none before it begins and after it returns.
    fibers: Vec<Option<Fiber>>,
    stacks: Stacks,
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
            stacks: Stacks::default(),
            shared,
            async_view,
        }
    }
}

impl Arena {
    /// Runs block `number` of the grid.
    ///
    /// # Safety
    /// That of [`Machine::run`](crate::Machine::run).
    pub(crate) unsafe fn run(
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

        // SAFETY: the caller's promise.
        let ran = unsafe { self.schedule(launch.entry.raw.run, params.at()) };
        // While the fibers stand, since a deadlock's report reads from their stacks.
        let outcome = ran.and_then(|()| self.block.conclude());
        for mut fiber in self.fibers.iter_mut().filter_map(Option::take) {
            // SAFETY: the fiber stands in `abi::switch`; neither kernels (the caller's promise) nor the frames of `abi`
            // keep anything on its stack that needs dropping.
            unsafe { fiber.force_reset() };
            self.stacks.free.push(fiber.into_stack());
        }
        outcome
    }

    /// Lets threads run until nothing in the block can go on. A fiber begins when its thread is first scheduled, on the
    /// stack that was used last: where threads never wait, one stack serves all.
    ///
    /// # Safety
    /// That of [`Machine::run`](crate::Machine::run).
    unsafe fn schedule(&mut self, kernel: Kernel, params: *const c_void) -> Result<(), Report> {
        let block: *mut Block = &raw mut *self.block;
        self.fibers.resize_with(self.block.lanes.len(), || None);
        // SAFETY: no reference to the block is held while a fiber or a deferred operation runs, and `run` ends all
        // fibers before the block is used again. The kernel is the caller's.
        unsafe {
            while !(*block).failed() {
                if let Some(thread) = (*block).next() {
                    let fiber = match &mut self.fibers[thread] {
                        Some(fiber) => fiber,
                        none => {
                            none.insert(Coroutine::with_stack(self.stacks.take()?, move |yielder, ()| {
                                (*block).enter(yielder);
                                kernel(params, block);
                            }))
                        }
                    };
                    if let CoroutineResult::Return(()) = fiber.resume(()) {
                        self.stacks.free.extend(self.fibers[thread].take().map(Fiber::into_stack));
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
        Ok(())
    }
}
