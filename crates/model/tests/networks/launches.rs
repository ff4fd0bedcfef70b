//! What a step asks a GPU for, kernel by kernel: a change that adds a launch fails here.

use fathom::{
    DType, Device,
    counting::{Counting, Counts, Moved},
    random::Draw,
};
use fathom_model::{
    folder::Folder,
    load::{Model, Network},
    perturbation::{Perturbation, Scope},
    reasoner::{Branch, Reasoner},
};

use crate::fixture;

const ROWS: u32 = 3;
const STEPS: usize = 4;
const NOISE: Perturbation = Perturbation::Noise { std: 0.1, scope: Scope::Latent };

fn draws() -> Vec<Draw> {
    (0..ROWS).map(|trajectory| Draw { key: 3, trajectory }).collect()
}

fn load(name: &str, device: &Device) -> Model {
    Model::load(&Folder::open(fixture(name)).unwrap(), device, DType::Bf16).unwrap()
}

/// A prompt, then so many steps; what is `told` before the last and after it.
fn think<R: Reasoner, T>(reasoner: &R, told: impl Fn() -> T) -> [T; 2] {
    let mut thoughts = reasoner.prefill(&[5, 9, 60, 31, 7], STEPS, &draws(), 0, NOISE).unwrap();
    let mut before = told();
    for _ in reasoner.prefilled_steps()..STEPS {
        let branches = thoughts.into_iter().zip(draws());
        let branches = branches.map(|(thought, draw)| Branch { thought, draws: vec![draw] }).collect();
        before = told();
        thoughts = reasoner.step(branches, NOISE).unwrap().into_iter().flatten().collect();
    }
    [before, told()]
}

fn thought<T>(model: &Model, told: impl Fn() -> T) -> [T; 2] {
    match &model.network {
        Network::Chain(chain) => think(chain, told),
        Network::Huginn(huginn) => think(huginn, told),
    }
}

/// The last step of a thought on a card of sm_90a, when it is thought for the second time.
fn step(name: &str) -> Counts {
    let device = Counting::sm_90a();
    let model = load(name, &device.device());
    thought(&model, || device.take());
    let [_, step] = thought(&model, || device.take());
    step
}

/// Kernels in the order in which they first come, and how often.
fn kernels(counts: &Counts) -> Vec<(&'static str, usize)> {
    let mut kernels: Vec<(&str, usize)> = Vec::new();
    for launch in &counts.launches {
        match kernels.iter_mut().find(|(kernel, _)| *kernel == launch.kernel) {
            Some((_, count)) => *count += 1,
            None => kernels.push((launch.kernel, 1)),
        }
    }
    kernels
}

/// Seven launches a block, the embedding and the last norm: a graph. Then the rows of the thoughts that go on, and their
/// noise.
#[test]
fn a_latent_step_takes_seven_launches_a_block() {
    let counts = step("coconut-tiny");
    let expected = [
        ("embedding", 1),
        ("layer_norm", 5),
        ("qkv_bf16_skinny", 2),
        ("attention_decode_bf16_16", 2),
        ("linear_hopper_16", 6),
        ("gather", 1),
        ("perturb", 1),
    ];
    assert_eq!(kernels(&counts), expected);
    assert_eq!(counts.submissions, [16, 1, 1]);
    assert_eq!(counts.downloads.calls, 0, "a step waits for nothing");
}

/// Seven launches a block and one for the adapter (docs/performance.md), behind two that gather states and injections. It
/// reads weights once, and norms' vectors and biases.
#[test]
fn a_core_iteration_takes_29_launches() {
    const H: usize = 64;
    const INNER: usize = 96;
    let counts = step("huginn-tiny");
    let expected = [
        ("gather", 2),
        ("adapter_bf16_skinny", 1),
        ("qkv_norm_bf16_skinny", 1),
        ("attention_decode_bf16_32", 4),
        ("linear_hopper_16", 8),
        ("rms_norm", 8),
        ("linear_hopper_swiglu_16", 4),
        ("qkv_bf16_skinny", 3),
    ];
    assert_eq!(kernels(&counts), expected);
    assert_eq!(counts.launches.len(), 2 + 29);
    assert_eq!(counts.downloads.calls, 0, "a step waits for nothing");
    let sum = counts.launches.iter().map(|launch| launch.moved.unwrap());
    let sum = sum.fold(Moved::default(), |sum, moved| sum + moved);
    let block = 2 * (4 * H * H + 3 * H * INNER) + 4 * (4 * H + 3 * H);
    assert_eq!(sum.weights, (2 * H * H + 4 * block) as u64);
    // Of four positions that all share and one of each row, which it writes as well; of four layers.
    let positions = 4 + ROWS as usize + ROWS as usize;
    assert_eq!(sum.cache, (4 * positions * 2 * 2 * H) as u64);
}

/// What is counted is what a device that computes is given.
#[test]
fn as_many_launches_as_on_the_emulated_card() {
    for name in ["coconut-tiny", "codi-tiny", "huginn-tiny"] {
        let device = Device::emulated().unwrap();
        let Device::Gpu(gpu) = &device else { panic!("an emulated card is a GPU") };
        let [before, after] = thought(&load(name, &device), || gpu.launches());
        assert_eq!(step(name).launches.len() as u64, after - before, "{name}");
    }
}

/// A CoLaR thought asks after each step whether it ends: a wait that the others do not have.
#[test]
fn a_colar_step_waits_once() {
    let counts = step("colar-tiny");
    assert_eq!((counts.downloads.calls, counts.downloads.bytes), (1, 4 * u64::from(ROWS)));
}
