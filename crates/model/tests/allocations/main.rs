//! A pass over rows that were there before allocates nothing: its tensors stand in the scratch, and keys and values grow
//! by several positions at a time.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use fathom::{
    DType, Device, Keep, Tensor,
    kv::Sequence,
    random::{Coordinates, Draw},
};
use fathom_model::{
    body::{Body, Input},
    folder::Folder,
    huginn::CachePolicy,
    latents::Latent,
    load::{Model, Network},
    pass::{Disturbance, DropSites, Run, Wanted},
    scratch::Scratch,
};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROWS: usize = 24;

/// How often `work` allocates.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Relaxed);
    work();
    ALLOCATIONS.load(Relaxed) - before
}

fn model(name: &str, dtype: DType) -> Model {
    let folder = Path::new("../../tests/fixtures").join(name);
    Model::load(&Folder::open(folder).unwrap(), &Device::Cpu, dtype).unwrap()
}

fn coordinates(position: usize, iteration: usize) -> Vec<Coordinates> {
    let at = |trajectory| Coordinates {
        draw: Draw { key: 7, trajectory },
        position: position as u32,
        iteration: iteration as u32,
    };
    (0..ROWS as u32).map(at).collect()
}

/// Latents fed to forks of one prompt under dropout, one a pass.
fn latent_steps(body: &Body) {
    let mut scratch = Scratch::new(&Device::Cpu, DType::F32);
    let mut prompt = body.sequence();
    let tokens: Vec<Input<'_>> = (3..12).map(Input::Token).collect();
    let mut runs = [Run::admit(&mut prompt, tokens.len())];
    body.forward(&tokens, &mut runs, &Disturbance::None, Wanted::Last, &mut scratch).unwrap();
    let mut sequences = prompt.fork(ROWS);
    let latent = Latent::new(&Device::Cpu, vec![0.25; body.width()]).unwrap();
    let inputs = vec![latent.input(); ROWS];
    for step in 0..8 {
        let rows = coordinates(9 + step, 0);
        let sites = DropSites { attention: true, mlp: true, ..DropSites::default() };
        let disturbance = Disturbance::Dropout { keep: Keep::new(0.1), sites, rows };
        let mut runs: Vec<Run<'_>> = sequences.iter_mut().map(|s| Run::admit(s, 1)).collect();
        let counted = allocations(|| {
            body.forward(&inputs, &mut runs, &disturbance, Wanted::Last, &mut scratch).unwrap();
        });
        // The first pass makes the scratch and the first place of each slot, the second room for eight.
        match step {
            0 | 1 => assert!(counted > 0, "step {step} is counted"),
            _ => assert_eq!(counted, 0, "step {step}"),
        }
    }
}

#[test]
fn a_step_allocates_nothing() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        for dtype in [DType::F32, DType::Bf16] {
            for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
                let model = model(name, dtype);
                let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
                latent_steps(chain.body());
            }
            iterations(&model("huginn-tiny", dtype));
        }
    });
}

/// Core iterations whose slots are shared, so that none is new after the first.
fn iterations(model: &Model) {
    let Network::Huginn(huginn) = &model.network else { panic!("huginn-tiny is recurrent") };
    let mut scratch = Scratch::new(&Device::Cpu, DType::F32);
    let mut sequences: Vec<Sequence> = (0..ROWS).map(|_| huginn.sequence()).collect();
    let mut runs: Vec<Run<'_>> = sequences.iter_mut().map(|s| Run::admit(s, 1)).collect();
    let embedded = huginn.prelude(&[5; ROWS], &mut runs, &mut scratch).unwrap();
    let injected = huginn.inject(&embedded).unwrap();
    let mut state: Tensor = huginn.initial_state(&coordinates(0, 0)).unwrap();
    let policy = CachePolicy::Shared { iterations: 1 };
    for t in 0..4 {
        let noise = Disturbance::Noise { std: 0.1, rows: coordinates(0, t) };
        let counted = allocations(|| {
            huginn.iterate(&mut state, &injected, &mut runs, t, policy, &noise, &mut scratch).unwrap();
        });
        match t {
            0 => assert!(counted > 0, "the first iteration is counted"),
            _ => assert_eq!(counted, 0, "iteration {t}"),
        }
    }
}
