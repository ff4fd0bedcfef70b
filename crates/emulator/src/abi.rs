//! The seam to the kernels' objects: `include/emu/abi.h`, field by field, and the functions behind it.
//!
//! A kernel calls these from a fiber. State changes are methods of [`Block`] that return what the fiber has to do next;
//! only the functions here switch fibers, and none holds a reference to the block while it does.

use crate::block::{Block, Fault, Flow};
use crate::queue::Kind;
use crate::site::RawSite;
use crate::{Copies, Report};
use std::ffi::{c_char, c_void};

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dim3 {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) z: u32,
}

impl From<[u32; 3]> for Dim3 {
    fn from([x, y, z]: [u32; 3]) -> Self {
        Dim3 { x, y, z }
    }
}

impl From<Dim3> for [u32; 3] {
    fn from(d: Dim3) -> Self {
        [d.x, d.y, d.z]
    }
}

#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Thread {
    pub(crate) index: Dim3,
    pub(crate) lane: u32,
    pub(crate) warp: u32,
}

/// `emu::Block`: the part of a block that kernels read.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) api: &'static Table,
    /// The running thread; null between fibers.
    pub(crate) current: *mut Thread,
    pub(crate) shared: *mut u8,
    /// What asynchronous reads see of it: what asynchronous copies wrote, and what proxy fences showed.
    pub(crate) async_view: *mut u8,
    pub(crate) shared_bytes: u32,
    pub(crate) profile: u32,
    pub(crate) grid: Dim3,
    pub(crate) block: Dim3,
    pub(crate) index: Dim3,
}

/// What `KERNEL` defines under a kernel's name (`emu::Entry` of abi.h). Opaque: [`crate::Entry`] reads it.
#[repr(C)]
pub struct RawEntry {
    pub(crate) name: *const c_char,
    pub(crate) run: unsafe extern "C" fn(*const c_void, *mut Block),
    pub(crate) params_bytes: u64,
    pub(crate) max_threads: u32,
}

// SAFETY: constants of an object file; the name is a string literal.
unsafe impl Sync for RawEntry {}

pub(crate) type Leader = unsafe extern "C" fn(*const *mut c_void, u32);
pub(crate) type Deferred = unsafe extern "C" fn(*mut Block, *const c_void);

/// Memory spaces of `emu::Space`.
pub(crate) const SHARED: u32 = 0;

/// `emu::Table`.
#[repr(C)]
pub(crate) struct Table {
    bar_sync: unsafe extern "C" fn(*mut Block, u32, u32, &RawSite),
    bar_arrive: unsafe extern "C" fn(*mut Block, u32, u32, &RawSite),
    collective: unsafe extern "C" fn(*mut Block, u32, &RawSite, *mut c_void, Option<Leader>),
    removed: unsafe extern "C" fn(*mut Block, &RawSite, bool) -> bool,
    defer: unsafe extern "C" fn(*mut Block, Kind, Deferred, *const c_void, usize, &RawSite),
    commit: unsafe extern "C" fn(*mut Block, Kind, &RawSite),
    wait: unsafe extern "C" fn(*mut Block, Kind, u32, &RawSite),
    mbarrier_init: unsafe extern "C" fn(*mut Block, *const c_void, u32, &RawSite),
    mbarrier_fence: unsafe extern "C" fn(*mut Block, &RawSite),
    proxy_fence: unsafe extern "C" fn(*mut Block, &RawSite),
    mbarrier_arrive: unsafe extern "C" fn(*mut Block, *const c_void, u32, &RawSite),
    mbarrier_complete: unsafe extern "C" fn(*mut Block, *const c_void, u32, &RawSite),
    mbarrier_wait: unsafe extern "C" fn(*mut Block, *const c_void, u32, &RawSite),
    matrix_fence: unsafe extern "C" fn(*mut Block, &RawSite),
    matrix_issue: unsafe extern "C" fn(*mut Block, &RawSite),
    access: unsafe extern "C" fn(*mut Block, u32, *const c_void, u32, &RawSite),
    request: unsafe extern "C" fn(*mut Block, u32, *const *const c_void, u32, u32),
    copied: unsafe extern "C" fn(*mut Block, u64),
    out_of_bounds: unsafe extern "C" fn(*mut Block, &RawSite, i64, u64, u64),
    misaligned: unsafe extern "C" fn(*mut Block, &RawSite, *const c_void, u64),
    misuse: unsafe extern "C" fn(*mut Block, &RawSite, *const c_char),
}

pub(crate) static TABLE: Table = Table {
    bar_sync,
    bar_arrive,
    collective,
    removed,
    defer,
    commit,
    wait,
    mbarrier_init,
    mbarrier_fence,
    proxy_fence,
    mbarrier_arrive,
    mbarrier_complete,
    mbarrier_wait,
    matrix_fence,
    matrix_issue,
    access,
    request,
    copied,
    out_of_bounds,
    misaligned,
    misuse,
};

// All functions below: `block` is the block whose fiber calls (or whose scheduler does, for deferred operations), and
// nothing else runs in that block meanwhile. That is the contract of `emu::Table`, and the reason why each
// dereference of `block` is sound as long as it ends before the next switch.

/// Lets other fibers run until this one is ready again. Inlined, as is `settle`: a return after a switch is one that the
/// processor predicts wrongly.
#[inline(always)]
unsafe fn switch(block: *mut Block) {
    // SAFETY: see above; the yielder lives as long as its fiber, which is the one that runs.
    unsafe {
        let yielder = (*block).running_yielder();
        (*yielder).suspend(());
    }
}

/// Carries out what a state change decided.
#[inline(always)]
unsafe fn settle(block: *mut Block, outcome: Result<Flow, Fault>) {
    // SAFETY: see above.
    unsafe {
        match outcome.and_then(|flow| (*block).step().map(|()| flow)) {
            Ok(Flow::Go) => {}
            Ok(Flow::Switch) => switch(block),
            Err(fault) => stop(block, fault),
        }
    }
}

/// Ends the block: a fiber that failed never goes on; a deferred operation has no fiber, and its block ends anyway.
#[cold]
unsafe fn stop(block: *mut Block, fault: Fault) {
    // SAFETY: see above.
    unsafe {
        (*block).fail(fault);
        while !(*block).head.current.is_null() {
            switch(block);
        }
    }
}

unsafe extern "C" fn bar_sync(block: *mut Block, id: u32, count: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe { settle(block, (*block).bar_sync(id, count, site)) }
}

unsafe extern "C" fn bar_arrive(block: *mut Block, id: u32, count: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe { settle(block, (*block).bar_arrive(id, count, site)) }
}

unsafe extern "C" fn collective(
    block: *mut Block,
    mask: u32,
    site: &RawSite,
    operand: *mut c_void,
    leader: Option<Leader>,
) {
    // SAFETY: see above. The leader reads operands of fibers that are suspended in this very function.
    unsafe {
        let outcome = (*block).collective(mask, site, operand).map(|operands| match operands {
            None => Flow::Switch,
            Some(operands) => {
                if let Some(leader) = leader {
                    leader(operands, mask);
                }
                (*block).release(mask)
            }
        });
        settle(block, outcome);
    }
}

unsafe extern "C" fn removed(block: *mut Block, site: &RawSite, modelled: bool) -> bool {
    // SAFETY: see above.
    unsafe { (*block).ordering(site, modelled) }
}

unsafe extern "C" fn defer(
    block: *mut Block,
    kind: Kind,
    run: Deferred,
    payload: *const c_void,
    bytes: usize,
    site: &RawSite,
) {
    // SAFETY: see above; the payload has `bytes` bytes, and is copied if it is to outlive this call.
    unsafe {
        match (*block).copies {
            Copies::Eager => run(block, payload),
            Copies::Lazy => {
                (*block).queue(kind).push(run, std::slice::from_raw_parts(payload.cast(), bytes), *site)
            }
        }
        settle(block, Ok((*block).pause()));
    }
}

unsafe extern "C" fn commit(block: *mut Block, kind: Kind, site: &RawSite) {
    // SAFETY: see above.
    unsafe {
        if !(*block).ordering(site, true) {
            (*block).queue(kind).commit();
        }
    }
}

unsafe extern "C" fn wait(block: *mut Block, kind: Kind, pending: u32, site: &RawSite) {
    // SAFETY: see above. An operation reports faults through this module, so no reference is held while it runs; its
    // payload stays in place, since operations do not defer others.
    unsafe {
        if (*block).ordering(site, true) {
            return;
        }
        while let Some((run, payload)) = (*block).queue(kind).next(pending as usize) {
            run(block, payload);
        }
        if kind == Kind::Matrix {
            (*block).matrix_waited();
        }
        settle(block, Ok(Flow::Go));
    }
}

unsafe extern "C" fn mbarrier_init(block: *mut Block, at: *const c_void, count: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe { settle(block, (*block).mbarrier_init(at as usize, count, site)) }
}

unsafe extern "C" fn mbarrier_fence(block: *mut Block, site: &RawSite) {
    // SAFETY: see above.
    unsafe {
        if !(*block).ordering(site, true) {
            (*block).fence_mbarriers();
        }
    }
}

unsafe extern "C" fn proxy_fence(block: *mut Block, site: &RawSite) {
    // SAFETY: see above; both memories have the launch's size.
    unsafe {
        if !(*block).ordering(site, true) {
            (*block).fence_mbarriers();
            let head = &(*block).head;
            std::ptr::copy_nonoverlapping(head.shared, head.async_view, head.shared_bytes as usize);
        }
    }
}

unsafe extern "C" fn mbarrier_arrive(block: *mut Block, at: *const c_void, bytes: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe { settle(block, (*block).mbarrier_arrive(at as usize, bytes, site)) }
}

unsafe extern "C" fn mbarrier_complete(block: *mut Block, at: *const c_void, bytes: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe { settle(block, (*block).mbarrier_complete(at as usize, bytes, site)) }
}

unsafe extern "C" fn mbarrier_wait(block: *mut Block, at: *const c_void, parity: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe {
        if (*block).ordering(site, true) {
            return;
        }
        // Woken at the end of a phase, a thread looks again, as the hardware's loop does.
        loop {
            match (*block).mbarrier_test(at as usize, parity, site) {
                Ok(true) => return settle(block, Ok(Flow::Go)),
                Ok(false) => settle(block, Ok(Flow::Switch)),
                Err(report) => settle(block, Err(report)),
            }
        }
    }
}

unsafe extern "C" fn matrix_fence(block: *mut Block, site: &RawSite) {
    // SAFETY: see above.
    unsafe { (*block).matrix_fence(site) }
}

unsafe extern "C" fn matrix_issue(block: *mut Block, site: &RawSite) {
    // SAFETY: see above.
    unsafe { settle(block, (*block).matrix_issue(site)) }
}

unsafe extern "C" fn access(block: *mut Block, space: u32, at: *const c_void, bytes: u32, site: &RawSite) {
    // SAFETY: see above.
    unsafe { (*block).access(space, at as usize, bytes, site) }
}

unsafe extern "C" fn request(
    block: *mut Block,
    space: u32,
    at: *const *const c_void,
    lanes: u32,
    bytes: u32,
) {
    // SAFETY: see above; `at` points to `lanes` addresses.
    unsafe {
        let addresses = std::slice::from_raw_parts(at.cast::<usize>(), lanes as usize);
        (*block).profile.count(space, (0u32..).zip(addresses.iter().copied()), bytes);
    }
}

unsafe extern "C" fn copied(block: *mut Block, bytes: u64) {
    // SAFETY: see above.
    unsafe { (*block).tally.counters.copied_bytes += bytes }
}

unsafe extern "C" fn out_of_bounds(block: *mut Block, site: &RawSite, offset: i64, bytes: u64, limit: u64) {
    // SAFETY: see above.
    unsafe {
        let place = (*block).place(site);
        settle(block, Err(Report::OutOfBounds { place, offset, bytes, limit }.into()));
    }
}

unsafe extern "C" fn misaligned(block: *mut Block, site: &RawSite, at: *const c_void, alignment: u64) {
    // SAFETY: see above.
    unsafe {
        let place = (*block).place(site);
        settle(block, Err(Report::Misaligned { place, address: at as u64, alignment }.into()));
    }
}

unsafe extern "C" fn misuse(block: *mut Block, site: &RawSite, why: *const c_char) {
    // SAFETY: see above; `why` is a string literal.
    unsafe {
        let why = std::ffi::CStr::from_ptr(why).to_string_lossy().into_owned();
        settle(block, Err((*block).misuse(site, why)));
    }
}
