//! Whole questions through every kind of model.

use std::{collections::BTreeMap, fs};

use fathom::{DType, Device};
use fathom_model::{
    folder::Folder,
    latent_rm::LatentRm,
    load::Model,
    perturbation::{Perturbation, Scope, Sites},
};
use fathom_search::{
    Error,
    aggregate::Aggregation,
    cost::CorePasses,
    prompt::Dialogue,
    solver::{Outcome, SearchOptions, Solver},
};

use crate::{depth::depth_reward, fixture, reward};

const QUESTION: &str =
    "Ann has 11 stickers. Ann sells 2 of the stickers. how many stickers does Ann have now?";

/// Random weights with the tokenizer of the bundled model, whose ids fit every fixture's vocabulary.
fn with_tokenizer(name: &str) -> Model {
    let place = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(std::path::Path::new(&fixture(name).path_of(file)), place.path().join(file)).unwrap();
    }
    let bundled = "../../models/abacus-coconut/tokenizer.json";
    fs::copy(bundled, place.path().join("tokenizer.json")).unwrap();
    Model::load(&Folder::open(place.path()).unwrap(), &Device::Cpu, DType::F32).unwrap()
}

fn options(n: usize) -> SearchOptions {
    SearchOptions {
        n,
        perturbation: Perturbation::Noise { std: 0.5, scope: Scope::Full },
        steps: 3,
        aggregate: vec![Aggregation::Majority],
        beams: 2,
        candidates: 3,
        every: 1,
        seed: 1,
        max_answer_tokens: 6,
    }
}

fn solve(model: Model, reward: Option<LatentRm>, options: SearchOptions) -> Outcome {
    Solver::new(model, reward, options).unwrap().solve(QUESTION).unwrap()
}

#[test]
fn chains_with_every_aggregation() {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        let all = SearchOptions { aggregate: Aggregation::ALL.to_vec(), ..options(8) };
        let outcome = solve(with_tokenizer(name), Some(reward(name)), all.clone());
        assert_eq!(outcome.answers.len(), 8, "{name}");
        assert!(outcome.answers.iter().all(|answer| answer.score.is_some()), "{name}");
        assert_eq!(outcome.chosen.iter().map(|(a, _)| *a).collect::<Vec<_>>(), Aggregation::ALL, "{name}");
        assert!(outcome.diversity.is_some_and(|d| d > 0.0), "{name}: {:?}", outcome.diversity);
        // CODI's parser falls back on the question's last number (spec latenttts §1.3), so it always finds one.
        if name == "codi-tiny" {
            assert!(outcome.answers.iter().all(|answer| answer.value.is_finite()), "{:?}", outcome.answers);
        }
        let fewer = solve(with_tokenizer(name), Some(reward(name)), SearchOptions { n: 3, ..all });
        for (few, many) in fewer.answers.iter().zip(&outcome.answers) {
            assert_eq!(
                (&few.text, few.score),
                (&many.text, many.score),
                "{name}: a trajectory does not depend on N"
            );
        }
    }
}

#[test]
fn recurrent_depth_with_every_sampler() {
    for perturbation in [
        Perturbation::None,
        Perturbation::State,
        Perturbation::Noise { std: 0.3, scope: Scope::Latent },
        Perturbation::Dropout { p: 0.1, sites: Sites::Resid, scope: Scope::Full },
    ] {
        let outcome =
            solve(with_tokenizer("huginn-tiny"), None, SearchOptions { perturbation, ..options(4) });
        assert_eq!(outcome.answers.len(), 4, "{perturbation:?}");
        let diversity = outcome.diversity.unwrap();
        assert_eq!(
            diversity.abs() < 1e-6,
            perturbation == Perturbation::None,
            "{perturbation:?}: {diversity}"
        );
    }
}

/// Every aggregation of recurrent depth, with what it costs: rows of the prompt before the last, of the thoughts and of the
/// answers, each r times, and those of the reward model's own iterations.
#[test]
fn recurrent_depth_with_every_aggregation() {
    const ITERATIONS: usize = 2;
    for (scope, prompts) in [(Scope::Latent, [1, 1]), (Scope::Full, [8, 6])] {
        let perturbation = Perturbation::Noise { std: 0.5, scope };
        let all = SearchOptions { aggregate: Aggregation::ALL.to_vec(), perturbation, ..options(8) };
        let reward = || Some(depth_reward(&Device::Cpu, DType::F32, ITERATIONS));
        let outcome = solve(with_tokenizer("huginn-tiny"), reward(), all.clone());
        assert!(outcome.answers.iter().all(|answer| answer.score.is_some()));
        assert_eq!(outcome.chosen.iter().map(|(a, _)| *a).collect::<Vec<_>>(), Aggregation::ALL);
        let fewer = solve(with_tokenizer("huginn-tiny"), reward(), SearchOptions { n: 3, ..all.clone() });
        for (few, many) in fewer.answers.iter().zip(&outcome.answers) {
            assert_eq!((&few.text, few.score), (&many.text, many.score), "a trajectory does not depend on N");
        }

        let model = with_tokenizer("huginn-tiny");
        let prompt = Dialogue::of(&model).unwrap().prompt(QUESTION).unwrap().len();
        let steps = all.steps;
        let cost: BTreeMap<Aggregation, CorePasses> = outcome.passes.iter().copied().collect();
        let majority = cost[&Aggregation::Majority];
        assert_eq!(majority.prompt, prompts[0] * (prompt - 1) * steps);
        assert_eq!((majority.thought, majority.reward), (8 * steps, 0));
        // Six tokens at most, of which the first needs none before it.
        assert!(majority.answer <= 8 * 5 * steps && majority.answer.is_multiple_of(steps));
        let scored = CorePasses { reward: (prompt + 8 * steps) * ITERATIONS, ..majority };
        assert_eq!([cost[&Aggregation::BestOfN], cost[&Aggregation::Weighted]], [scored; 2]);
        let beam = cost[&Aggregation::Beam];
        assert_eq!(beam.prompt, prompts[1] * (prompt - 1) * steps);
        assert_eq!((beam.thought, beam.reward), (6 * steps, (prompt + 6 * steps) * ITERATIONS));
        assert!(beam.answer <= 5 * steps);
    }
    let chain = solve(with_tokenizer("coconut-tiny"), None, options(2));
    assert!(chain.passes.is_empty(), "chains have no core");
}

/// What does not fit is refused before any work, with the option's name.
#[test]
fn options_that_do_not_fit() {
    let refused = |name: &str, reward: Option<LatentRm>, options: SearchOptions| match Solver::new(
        with_tokenizer(name),
        reward,
        options,
    ) {
        Err(Error::Option { option, .. }) => option,
        other => panic!("{:?}", other.map(|_| ())),
    };
    let (chain, recurrent) = ("coconut-tiny", "huginn-tiny");
    let dropout = |p| Perturbation::Dropout { p, sites: Sites::Resid, scope: Scope::Full };
    let noise = |std| Perturbation::Noise { std, scope: Scope::Full };
    assert_eq!(refused(chain, None, options(0)), "-n");
    assert_eq!(refused(chain, None, SearchOptions { beams: 0, ..options(1) }), "--beams");
    assert_eq!(refused(chain, None, SearchOptions { candidates: 0, ..options(1) }), "--candidates");
    assert_eq!(refused(chain, None, SearchOptions { steps: 0, ..options(1) }), "--steps");
    for p in [1.0, -0.1, f32::NAN] {
        assert_eq!(
            refused(chain, None, SearchOptions { perturbation: dropout(p), ..options(1) }),
            "--dropout-p"
        );
    }
    for std in [-1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(
            refused(chain, None, SearchOptions { perturbation: noise(std), ..options(1) }),
            "--noise-std"
        );
    }
    let state = SearchOptions { perturbation: Perturbation::State, ..options(1) };
    assert_eq!(refused(chain, None, state), "--sampler");
    for aggregation in [Aggregation::BestOfN, Aggregation::Weighted, Aggregation::Beam] {
        let options = SearchOptions { aggregate: vec![aggregation], ..options(1) };
        assert_eq!(refused(chain, None, options), "--aggregate");
    }
    assert_eq!(refused(chain, None, SearchOptions { every: 0, ..options(1) }), "--every");
    assert_eq!(refused(recurrent, Some(reward(chain)), options(1)), "--reward");
    assert_eq!(refused(chain, Some(depth_reward(&Device::Cpu, DType::F32, 1)), options(1)), "--reward");
}

/// A folder without a tokenizer loads, but cannot be asked.
#[test]
fn questions_need_a_tokenizer() {
    let model = Model::load(&fixture("coconut-tiny"), &Device::Cpu, DType::F32).unwrap();
    let error = Solver::new(model, None, options(1)).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}
