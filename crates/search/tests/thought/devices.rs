//! The device path: trajectories, scores and beams on the emulated GPU, and on a GPU where there is one, beside the CPU's.

use std::collections::HashSet;

use fathom::{DType, Device, Emulated, random::Stream};
use fathom_model::{
    latent_rm::LatentRm,
    latents::Latent,
    load::{Model, Network},
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};
use fathom_search::{
    beam::{Width, beam_search},
    trajectories::{Thinking, draws, think},
};

use crate::{PROMPT, fixture};

const DROPOUT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::ResidEmbd, scope: Scope::Full };
const LATENT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Latent };
const NOISE: Perturbation = Perturbation::Noise { std: 0.4, scope: Scope::Full };
const STEPS: usize = 2;

fn devices() -> Vec<Device> {
    [Device::emulated(), Device::cuda(0)].into_iter().flatten().collect()
}

pub(crate) fn load(name: &str, device: &Device, dtype: DType) -> Model {
    Model::load(&fixture(name), device, dtype).unwrap()
}

/// Latents and answers of trajectories.
pub(crate) type Found = (Vec<Vec<Vec<f32>>>, Vec<Vec<u32>>);

/// Of trajectories `indices` behind `prompt`, with answers of so many tokens at most.
pub(crate) fn trajectories_of<R: Reasoner>(
    reasoner: &R,
    prompt: &[u32],
    perturbation: Perturbation,
    indices: &[usize],
    answer: usize,
) -> Found {
    let thinking = Thinking { steps: STEPS, perturbation, seed: 11 };
    let draws = draws(11, prompt, Stream::Trajectory, indices.iter().copied());
    let thoughts = think(reasoner, prompt, &draws, thinking).unwrap();
    let latents = thoughts.iter().map(|thought| Latent::to_rows(thought.latents()).unwrap()).collect();
    (latents, reasoner.read_out(thoughts, answer, perturbation).unwrap())
}

fn trajectories<R: Reasoner>(reasoner: &R, perturbation: Perturbation, indices: &[usize]) -> Found {
    trajectories_of(reasoner, &PROMPT, perturbation, indices, 3)
}

/// Of f32 the answers are the CPU's and the latents near them; of either type a trajectory is the same to the bit alone and
/// among others.
fn check<R: Reasoner>(context: &str, cpu: &R, gpu: &R, dtype: DType, perturbation: Perturbation) {
    let (latents, answers) = trajectories(gpu, perturbation, &[0, 1, 2, 3, 4]);
    assert_eq!(trajectories(gpu, perturbation, &[3]).0[0], latents[3], "{context}: alone");
    let (shuffled, _) = trajectories(gpu, perturbation, &[4, 0]);
    assert_eq!(shuffled, [latents[4].clone(), latents[0].clone()], "{context}: in another order");
    if dtype == DType::F32 {
        let (expected, expected_answers) = trajectories(cpu, perturbation, &[0, 1, 2, 3, 4]);
        assert_eq!(answers, expected_answers, "{context}");
        let pairs = latents.iter().flatten().flatten().zip(expected.iter().flatten().flatten());
        for (ours, theirs) in pairs {
            // A few layers of sums in another order, magnified by what follows them (docs/numerics.md).
            assert!((ours - theirs).abs() <= 1e-4 * theirs.abs().max(1.0), "{context}: {ours} for {theirs}");
        }
    }
}

#[test]
fn chains() {
    for device in devices() {
        for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
            for dtype in [DType::F32, DType::Bf16] {
                let (cpu, gpu) = (load(name, &Device::Cpu, dtype), load(name, &device, dtype));
                let (Network::Chain(cpu), Network::Chain(gpu)) = (&cpu.network, &gpu.network) else {
                    panic!("{name} is a chain")
                };
                for perturbation in [DROPOUT, LATENT, NOISE] {
                    let context = format!("{device} {name} {dtype} {perturbation:?}");
                    check(&context, cpu, gpu, dtype, perturbation);
                }
            }
        }
    }
}

#[test]
fn recurrent_depth() {
    for device in devices() {
        for dtype in [DType::F32, DType::Bf16] {
            let (cpu, gpu) = (load("huginn-tiny", &Device::Cpu, dtype), load("huginn-tiny", &device, dtype));
            let (Network::Huginn(cpu), Network::Huginn(gpu)) = (&cpu.network, &gpu.network) else {
                panic!("huginn-tiny is recurrent")
            };
            for perturbation in [DROPOUT, LATENT, NOISE, Perturbation::State] {
                check(&format!("{device} {dtype} {perturbation:?}"), cpu, gpu, dtype, perturbation);
            }
        }
    }
}

/// The beams that survive, with their scores.
fn beams(device: &Device, name: &str, perturbation: Perturbation) -> Vec<(Vec<Vec<f32>>, f32)> {
    let model = load(name, device, DType::F32);
    let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
    let reward = LatentRm::open(&fixture(name).subfolder("latent_rm").unwrap(), device, DType::F32).unwrap();
    let thinking = Thinking { steps: STEPS, perturbation, seed: 5 };
    let found =
        beam_search(chain, &reward, &PROMPT, thinking, Width { beams: 2, candidates: 2, every: 1 }).unwrap();
    found.into_iter().map(|beam| (Latent::to_rows(beam.thought.latents()).unwrap(), beam.score)).collect()
}

/// Scores rank the same beams as the CPU's do.
#[test]
fn beam_search_with_a_reward_model() {
    for device in devices() {
        for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
            for perturbation in [LATENT, NOISE] {
                let (ours, theirs) =
                    (beams(&device, name, perturbation), beams(&Device::Cpu, name, perturbation));
                assert_eq!(ours.len(), theirs.len());
                for ((latents, score), (expected, expected_score)) in ours.iter().zip(&theirs) {
                    let context = format!("{device} {name} {perturbation:?}");
                    assert!(
                        (score - expected_score).abs() <= 1e-4,
                        "{context}: {score} for {expected_score}"
                    );
                    let pairs = latents.iter().flatten().zip(expected.iter().flatten());
                    let off = pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                    assert!(off <= 1e-3, "{context}: latents {off} apart");
                }
            }
        }
    }
}

/// Bit for bit the same alone, among 17 and among 65.
fn same_at_any_n<R: Reasoner>(context: &str, reasoner: &R, perturbation: Perturbation) {
    const MOST: usize = 65;
    let of = |indices: Vec<usize>| {
        let (latents, answers) = trajectories(reasoner, perturbation, &indices);
        let bits = latents.into_iter().map(|rows| rows.concat().into_iter().map(f32::to_bits).collect());
        bits.zip(answers).collect::<Vec<(Vec<u32>, Vec<u32>)>>()
    };
    let all = of((0..MOST).collect());
    let distinct: HashSet<_> = all.iter().map(|(latents, _)| latents).collect();
    assert_eq!(distinct.len(), MOST, "{context}: trajectories differ");
    assert_eq!(of((0..17).collect()), all[..17], "{context}: N = 17");
    for alone in [0, 16, MOST - 1] {
        assert_eq!(of(vec![alone]), all[alone..=alone], "{context}: {alone} alone");
    }
}

/// At any N, on either kind of card: passes of one row, of up to 16, of up to 64 and of more run on tiles of their own.
#[test]
fn a_trajectory_is_the_same_at_any_n() {
    let cards = [Emulated::sm_80(Default::default()), Emulated::sm_90a(Default::default())];
    for device in cards.map(|card| card.device()).into_iter().chain(Device::cuda(0)) {
        for (name, perturbation) in [
            ("coconut-tiny", DROPOUT),
            ("coconut-tiny", NOISE),
            ("colar-tiny", NOISE),
            ("huginn-tiny", Perturbation::State),
        ] {
            let context = format!("{device} {name} {perturbation:?}");
            match &load(name, &device, DType::Bf16).network {
                Network::Chain(chain) => same_at_any_n(&context, chain, perturbation),
                Network::Huginn(huginn) => same_at_any_n(&context, huginn, perturbation),
            }
        }
    }
}
