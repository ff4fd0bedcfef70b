//! Thoughts that the model closes by itself: CoLaR writes its end token where the arg-max says so.

use std::fs;

use fathom::{DType, Device, Tokens, ops::arg_max::arg_max, random::Stream};
use fathom_model::{
    body::Input,
    folder::Folder,
    latent::LatentChain,
    latents::Latent,
    load::{Model, Network},
    pass::Disturbance,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};
use fathom_search::{
    beam::{Width, beam_search},
    trajectories::{Thinking, draws, think},
};

use crate::{PROMPT, fixture, reward};

const STEPS: usize = 5;

/// The CoLaR fixture with another end token, one that its random weights often choose under both samplers.
fn ending(test: impl Fn(&LatentChain, Thinking)) {
    let place = tempfile::tempdir().unwrap();
    let from = fixture("colar-tiny");
    let config = fs::read_to_string(from.path_of("config.json")).unwrap();
    let config = config.replace("\"latent_end_id\": 198", "\"latent_end_id\": 192");
    fs::write(place.path().join("config.json"), config).unwrap();
    fs::copy(from.path_of("model.safetensors"), place.path().join("model.safetensors")).unwrap();
    let model = Model::load(&Folder::open(place.path()).unwrap(), &Device::Cpu, DType::F32).unwrap();
    let Network::Chain(chain) = &model.network else { panic!("a chain") };
    assert_eq!(chain.ids().latent_end, 192);
    let noise = Perturbation::Noise { std: 0.5, scope: Scope::Full };
    let dropout = Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Full };
    for perturbation in [noise, dropout] {
        test(chain, Thinking { steps: STEPS, perturbation, seed: 5 });
    }
}

/// Some of 64 trajectories end before the cap, others at it; each is what it is alone, in latents and answer.
#[test]
fn trajectories_end_on_their_own() {
    ending(|chain, thinking| {
        let all = draws(5, &PROMPT, Stream::Trajectory, 0..64);
        let thoughts = think(chain, &PROMPT, &all, thinking).unwrap();
        let ended: Vec<bool> = thoughts.iter().map(|thought| thought.ended()).collect();
        let count = ended.iter().filter(|ended| **ended).count();
        assert!((1..64).contains(&count), "{count} of 64 ended: the test wants some of each");
        for (thought, &ended) in thoughts.iter().zip(&ended) {
            assert!(if ended { thought.latents().len() < STEPS } else { thought.latents().len() == STEPS });
        }
        let latents: Vec<_> = thoughts.iter().map(|thought| thought.latents().to_vec()).collect();
        let answers = chain.read_out(thoughts, 6, thinking.perturbation).unwrap();
        for index in (0..64).filter(|&index| ended[index]).take(3).chain([0, 63]) {
            let alone = think(chain, &PROMPT, &all[index..=index], thinking).unwrap();
            assert_eq!(alone[0].latents(), latents[index], "trajectory {index}");
            assert_eq!(
                chain.read_out(alone, 6, thinking.perturbation).unwrap(),
                answers[index..=index],
                "{index}"
            );
        }
    });
}

/// Under noise passes are deterministic: the answer of an ended thought is what follows its latents and the end token,
/// with nothing between them, and the state it ended in is the one whose arg-max is that token.
#[test]
fn an_ended_thought_goes_on_from_its_end_token() {
    ending(|chain, thinking| {
        let Perturbation::Noise { .. } = thinking.perturbation else { return };
        let all = draws(5, &PROMPT, Stream::Trajectory, 0..64);
        let thoughts = think(chain, &PROMPT, &all, thinking).unwrap();
        let thought = thoughts.into_iter().find(|thought| thought.ended()).unwrap();
        let latents = thought.latents().to_vec();
        let tokens = PROMPT.iter().map(|&id| Input::Token(id));
        let fed: Vec<Input<'_>> = tokens.chain(latents.iter().map(Latent::input)).collect();
        let head = chain.body().head();
        let first = |inputs: Vec<Input<'_>>| {
            let mut sequence = chain.body().sequence();
            let state = chain.advance(&mut [&mut sequence], &[inputs], |_, _| Disturbance::None).unwrap();
            let mut tokens = Tokens::empty(state.device());
            arg_max(&state, head, &mut tokens).unwrap();
            tokens.to_vec().unwrap()[0]
        };
        assert_eq!(first(fed.clone()), 192, "the state after the last latent writes the end token");
        let opened = first([fed, vec![Input::Token(192)]].concat());
        let answer = chain.read_out(vec![thought], 1, thinking.perturbation).unwrap().remove(0);
        assert_eq!(answer, [opened]);
    });
}

/// A thought that ends under a beam is one candidate, however many ways it would have been continued.
#[test]
fn beams_hold_an_ended_thought_once() {
    ending(|chain, thinking| {
        let mut seen_ended = 0;
        for seed in 0..20 {
            let thinking = Thinking { seed, ..thinking };
            let width = Width { beams: 4, candidates: 4, every: 1 };
            let beams = beam_search(chain, &reward("colar-tiny"), &PROMPT, thinking, width).unwrap();
            let ended: Vec<_> =
                beams.iter().filter(|beam| beam.thought.ended()).map(|beam| beam.thought.latents()).collect();
            seen_ended += ended.len();
            let distinct = ended.iter().enumerate().all(|(i, latents)| !ended[..i].contains(latents));
            assert!(distinct, "seed {seed}: {} ended beams", ended.len());
        }
        assert!(seen_ended > 0, "the test wants ended beams");
    });
}
