//! A trajectory is a pure function of weights, prompt, seed and index (docs/numerics.md): bit for bit the same alone,
//! among 7 or 64, in any order, on one thread or two.

use fathom::{
    DType,
    random::{Draw, Stream},
};
use fathom_model::{
    load::Network,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};
use fathom_search::trajectories::{Thinking, draws, think};

use crate::{PROMPT, bits, model, wide};

const DROPOUT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::ResidEmbd, scope: Scope::Full };
const LATENT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Latent };
const NOISE: Perturbation = Perturbation::Noise { std: 0.4, scope: Scope::Full };

/// Bits of a trajectory's latents, and its answer.
type Trajectory = (Vec<u32>, Vec<u32>);

fn trajectories<R: Reasoner>(reasoner: &R, draws: &[Draw], thinking: Thinking) -> Vec<Trajectory> {
    let thoughts = think(reasoner, &PROMPT, draws, thinking).unwrap();
    let bits: Vec<Vec<u32>> = thoughts.iter().map(|thought| bits(thought.latents())).collect();
    let answers = reasoner.read_out(thoughts, 6, thinking.perturbation).unwrap();
    bits.into_iter().zip(answers).collect()
}

fn threads<T: Send>(count: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(count).build().unwrap().install(work)
}

fn check<R: Reasoner>(name: &str, reasoner: &R, steps: usize, perturbation: Perturbation) {
    let thinking = Thinking { steps, perturbation, seed: 11 };
    let of = |indices: Vec<usize>| {
        let draws = draws(11, &PROMPT, Stream::Trajectory, indices);
        trajectories(reasoner, &draws, thinking)
    };
    let all = threads(2, || of((0..64).collect()));
    assert_eq!(threads(1, || of((0..64).collect())), all, "{name} {perturbation:?}: threads");
    assert_eq!(of((0..7).collect()), all[..7], "{name} {perturbation:?}: N = 7");
    assert_eq!(of(vec![5]), all[5..6], "{name} {perturbation:?}: N = 1");
    let order = vec![40, 3, 63, 0, 17];
    let expected: Vec<_> = order.iter().map(|&i| all[i].clone()).collect();
    assert_eq!(of(order), expected, "{name} {perturbation:?}: order");
    let distinct: std::collections::HashSet<_> = all.iter().map(|(latents, _)| latents).collect();
    let deterministic = perturbation == Perturbation::None;
    assert_eq!(
        distinct.len(),
        if deterministic { 1 } else { 64 },
        "{name} {perturbation:?}: trajectories differ"
    );
}

#[test]
fn chains() {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        for dtype in [DType::F32, DType::Bf16] {
            let model = model(name, dtype);
            let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
            for perturbation in [Perturbation::None, DROPOUT, LATENT, NOISE] {
                check(name, chain, 3, perturbation);
            }
        }
    }
}

/// Weights that no core's cache holds: products are shared among threads, rows of a pass are not.
#[test]
fn chains_beyond_a_cache() {
    for dtype in [DType::F32, DType::Bf16] {
        let model = wide::coconut(dtype);
        assert!(!model.fits_cache(), "{dtype}: {} bytes fit", model.weight_bytes());
        let Network::Chain(chain) = &model.network else { panic!("a chain") };
        for perturbation in [Perturbation::None, DROPOUT, LATENT, NOISE] {
            check("a wide chain", chain, 3, perturbation);
        }
    }
}

#[test]
fn recurrent_depth() {
    let full_noise = Perturbation::Noise { std: 0.1, scope: Scope::Full };
    let latent_noise = Perturbation::Noise { std: 0.1, scope: Scope::Latent };
    for dtype in [DType::F32, DType::Bf16] {
        let model = model("huginn-tiny", dtype);
        let Network::Huginn(huginn) = &model.network else { panic!("huginn-tiny is recurrent") };
        for perturbation in
            [Perturbation::None, DROPOUT, LATENT, full_noise, latent_noise, Perturbation::State]
        {
            check("huginn-tiny", huginn, 3, perturbation);
        }
    }
}

/// Another seed or another prompt is another set of trajectories.
#[test]
fn seeds_and_prompts_matter() {
    let model = model("coconut-tiny", DType::F32);
    let Network::Chain(chain) = &model.network else { panic!("a chain") };
    let latents = |seed: u64, prompt: &[u32]| {
        let thinking = Thinking { steps: 2, perturbation: NOISE, seed };
        let thoughts = think(chain, prompt, &draws(seed, prompt, Stream::Trajectory, [0]), thinking).unwrap();
        thoughts[0].latents().to_vec()
    };
    assert_eq!(latents(1, &PROMPT), latents(1, &PROMPT));
    assert_ne!(latents(1, &PROMPT), latents(2, &PROMPT));
    assert_ne!(latents(1, &PROMPT), latents(1, &PROMPT[1..]));
}
