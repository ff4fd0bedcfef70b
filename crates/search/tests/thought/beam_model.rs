//! Beam search over networks: its limits, its scores, its forks.

use fathom::{DType, random::Stream};
use fathom_model::{
    body::Input,
    latent::LatentChain,
    latents::Latent,
    load::Network,
    pass::Disturbance,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};
use fathom_search::{
    beam::{Width, beam_search, best},
    scorer::trajectory_scores,
    trajectories::{Thinking, draws, think},
};

use crate::{PROMPT, bits, model, reward};

const STEPS: usize = 4;

const SAMPLERS: [Perturbation; 3] = [
    Perturbation::Noise { std: 0.5, scope: Scope::Full },
    Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Full },
    Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Latent },
];

fn each(test: impl Fn(&str, &LatentChain, Thinking)) {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        let model = model(name, DType::F32);
        let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
        for perturbation in SAMPLERS {
            test(name, chain, Thinking { steps: STEPS, perturbation, seed: 3 });
        }
    }
}

#[test]
fn one_beam_of_one_candidate_is_the_plain_trajectory() {
    each(|name, chain, thinking| {
        let width = Width { beams: 1, candidates: 1, every: 1 };
        let beam = best(beam_search(chain, &reward(name), &PROMPT, thinking, width).unwrap()).unwrap();
        let plain =
            think(chain, &PROMPT, &draws(3, &PROMPT, Stream::Trajectory, [0]), thinking).unwrap().remove(0);
        assert_eq!(bits(beam.thought.latents()), bits(plain.latents()), "{name} {thinking:?}");
        let answer = |thought| chain.read_out(vec![thought], 8, thinking.perturbation).unwrap();
        assert_eq!(answer(beam.thought), answer(plain), "{name} {thinking:?}");
    });
}

#[test]
fn one_candidate_a_beam_is_best_of_n() {
    each(|name, chain, thinking| {
        let (scorer, beams) = (reward(name), 6);
        let found =
            beam_search(chain, &scorer, &PROMPT, thinking, Width { beams, candidates: 1, every: 1 }).unwrap();
        let plain =
            think(chain, &PROMPT, &draws(3, &PROMPT, Stream::Trajectory, 0..beams), thinking).unwrap();
        let latents: Vec<_> = plain.iter().map(Thought::latents).collect();
        let scores = trajectory_scores(&scorer, &PROMPT, &latents).unwrap();
        for (beam, (latents, score)) in found.iter().zip(latents.iter().zip(&scores)) {
            assert_eq!(bits(beam.thought.latents()), bits(latents), "{name} {thinking:?}");
            assert!((beam.score - score).abs() <= 1e-4, "{name}: {} against {score}", beam.score);
        }
        let winner = fathom_search::aggregate::best(&scores).unwrap();
        let chosen = best(found).unwrap();
        assert_eq!(bits(chosen.thought.latents()), bits(latents[winner]), "{name} {thinking:?}");
    });
}

/// What a beam has accumulated over forks is what its latents score from scratch, and its state is what feeding them
/// from scratch gives, bit for bit.
#[test]
fn forks_equal_recomputation() {
    each(|name, chain, thinking| {
        let scorer = reward(name);
        let width = Width { beams: 3, candidates: 4, every: 1 };
        let beams = beam_search(chain, &scorer, &PROMPT, thinking, width).unwrap();
        let latents: Vec<_> = beams.iter().map(|beam| beam.thought.latents()).collect();
        let scores = trajectory_scores(&scorer, &PROMPT, &latents).unwrap();
        for (beam, score) in beams.iter().zip(scores) {
            assert!((beam.score - score).abs() <= 1e-4, "{name}: {} against {score}", beam.score);
        }
        // Under noise the passes themselves are deterministic, so they can be run again.
        if let Perturbation::Noise { .. } = thinking.perturbation {
            for beam in beams.iter().filter(|beam| !beam.thought.ended()) {
                let fed = &beam.thought.latents()[..STEPS - 1];
                let tokens = PROMPT.iter().map(|&id| Input::Token(id));
                let inputs = tokens.chain(fed.iter().map(Latent::input)).collect();
                let mut sequence = chain.body().sequence();
                let state = chain.advance(&mut [&mut sequence], &[inputs], |_, _| Disturbance::None).unwrap();
                let again: Vec<u32> = state.row(0).iter().map(|x| x.to_bits()).collect();
                assert_eq!(bits(std::slice::from_ref(beam.thought.state())), again, "{name}");
            }
        }
    });
}
