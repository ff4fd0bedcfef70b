//! The memory of a step does not grow with the iterations that have no gradient, and by one state for each that has.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use fathom::{Device, Tensor};
use fathom_model::{checkpoint::Checkpoint, config::Config, folder::Folder};
use fathom_train::objective::recurrence::{Examples, Iterations, RecurrentDepth};

/// The system's allocator, with the bytes that live and the most that have.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(live, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 48;

#[test]
fn a_step_is_as_large_at_any_number_of_iterations() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let folder = Folder::open(Path::new("../../tests/fixtures/huginn-tiny")).unwrap();
    let Config::Huginn(config) = Config::read(&folder).unwrap() else { panic!("huginn-tiny is recurrent") };
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let model = RecurrentDepth::load(&config, &checkpoint, &Device::Cpu).unwrap();
    let ids: Vec<u32> = (0..ROWS as u32).map(|index| index % 60).collect();
    let targets: Vec<Option<u32>> = ids.iter().map(|&id| Some(id)).collect();
    let most = |without: usize, with: usize| {
        pool.install(|| {
            let mut gradients = model.parameters().gradients().unwrap();
            let initial =
                Tensor::new(&Device::Cpu, ROWS, config.width, vec![0.25; ROWS * config.width]).unwrap();
            let before = LIVE.load(Relaxed);
            MOST.store(before, Relaxed);
            let examples = Examples { tokens: &[&ids], targets: &targets, initial };
            model.loss(examples, Iterations { without, with }, Some(&mut gradients)).unwrap();
            MOST.load(Relaxed) - before
        })
    };
    most(1, 1);
    let state = 4 * ROWS * config.width;
    let few = most(1, 4);
    assert!(few > 4 * state, "{few} bytes are counted");
    // Vectors of the test's own harness may come and go: within half a state.
    for without in [8, 64, 256] {
        let many = most(without, 4);
        assert!(many.abs_diff(few) <= state / 2, "{many} bytes at n = {without}, {few} at n = 1");
    }
    for with in [5, 8] {
        let deeper = most(8, with);
        let grown = (with - 4) * state;
        assert!(deeper.abs_diff(few + grown) <= state / 2 + 4096, "{deeper} bytes at k = {with}, {few} at 4");
    }
}
