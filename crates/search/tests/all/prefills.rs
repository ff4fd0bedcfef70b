//! A prompt that the sampler leaves deterministic is computed once, however many trajectories follow it.

use std::path::Path;

use fathom::{DType, Device, random::Stream};
use fathom_model::{
    folder::Folder,
    latent::LatentChain,
    latent_rm::LatentRm,
    load::{Model, Network},
    perturbation::{Perturbation, Scope, Sites},
    reasoner::Thought,
};
use fathom_search::{
    aggregate::Aggregation,
    beam::{Width, beam_search},
    scorer::trajectory_scores,
    solver::{SearchOptions, Solver},
    trajectories::{Thinking, draws, think},
};

const N: usize = 7;
const PROMPT: [u32; 5] = [3, 1, 4, 1, 5];

fn folder(path: &str) -> Folder {
    Folder::open(Path::new("../..").join(path)).expect("the folder exists")
}

fn load(path: &str) -> Model {
    Model::load(&folder(path), &Device::Cpu, DType::F32).expect("the model loads")
}

fn chain(model: &Model) -> &LatentChain {
    match &model.network {
        Network::Chain(chain) => chain,
        Network::Huginn(_) => panic!("not a latent chain-of-thought"),
    }
}

/// Each perturbation with the prefills that N trajectories cost.
fn costs() -> [(Perturbation, usize); 6] {
    let dropout = |p, scope| Perturbation::Dropout { p, sites: Sites::Resid, scope };
    [
        (Perturbation::None, 1),
        (Perturbation::Noise { std: 0.3, scope: Scope::Full }, 1),
        (Perturbation::Noise { std: 0.3, scope: Scope::Latent }, 1),
        (dropout(0.1, Scope::Latent), 1),
        (dropout(0.1, Scope::Full), N),
        // A rate of zero drops nothing, so there is nothing to repeat.
        (dropout(0.0, Scope::Full), 1),
    ]
}

#[test]
fn a_question_costs_one_prefill_unless_the_prompt_is_perturbed() {
    for (perturbation, cost) in costs() {
        let options = SearchOptions {
            n: N,
            perturbation,
            steps: 3,
            aggregate: vec![Aggregation::Majority],
            beams: 1,
            candidates: 1,
            every: 1,
            seed: 0,
            max_answer_tokens: 20,
        };
        let solver = Solver::new(load("models/abacus-coconut"), None, options).unwrap();
        for asked in 1..=2 {
            let outcome =
                solver.solve("Ann has 3 books. Ann buys 4 books. how many books does Ann have now?");
            assert_eq!(outcome.unwrap().answers.len(), N);
            assert_eq!(chain(solver.model()).prompts_prefilled(), asked * cost, "{perturbation:?}");
        }
    }
}

#[test]
fn every_latent_body_shares_its_prompt_and_its_reward_model_does() {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        for (perturbation, cost) in costs() {
            let model = load(&format!("tests/fixtures/{name}"));
            let place = folder(&format!("tests/fixtures/{name}/latent_rm"));
            let rm = LatentRm::open(&place, &Device::Cpu, DType::F32).unwrap();
            let thinking = Thinking { steps: 4, perturbation, seed: 2 };
            let draws = draws(2, &PROMPT, Stream::Trajectory, 0..N);
            let thoughts = think(chain(&model), &PROMPT, &draws, thinking).unwrap();
            assert_eq!(chain(&model).prompts_prefilled(), cost, "{name}: {perturbation:?}");

            let latents: Vec<_> = thoughts.iter().map(Thought::latents).collect();
            assert_eq!(trajectory_scores(&rm, &PROMPT, &latents).unwrap().len(), N);
            assert_eq!(rm.prompts_prefilled(), 1, "{name}: {perturbation:?}");
        }
    }
}

/// Under beam search the reward model reads the prompt once, and so does the generator where noise leaves it alone.
#[test]
fn beam_search_shares_the_prompt() {
    let model = load("tests/fixtures/coconut-tiny");
    let rm =
        LatentRm::open(&folder("tests/fixtures/coconut-tiny/latent_rm"), &Device::Cpu, DType::F32).unwrap();
    let perturbation = Perturbation::Noise { std: 0.3, scope: Scope::Full };
    let thinking = Thinking { steps: 4, perturbation, seed: 2 };
    let width = Width { beams: 3, candidates: 2, every: 1 };
    assert!(!beam_search(chain(&model), &rm, &PROMPT, thinking, width).unwrap().is_empty());
    assert_eq!((chain(&model).prompts_prefilled(), rm.prompts_prefilled()), (1, 1));
}
