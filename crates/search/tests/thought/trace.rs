//! Traces of the trained models: what is recorded is what answering goes through.

use fathom::{DType, Device};
use fathom_model::{folder::Folder, load::Model, perturbation::Perturbation};
use fathom_search::{
    aggregate::Aggregation,
    solver::{SearchOptions, Solver},
    trace::{Class, Trace, TraceOptions, classify, distance, trace},
};

const QUESTION: &str = "Ann has 7 books. Ann buys 5 books. how many books does Ann have now?";

fn options(steps: usize) -> TraceOptions {
    TraceOptions {
        steps,
        trajectories: 5,
        starts: 4,
        dropout_p: 0.1,
        noise_std: 0.3,
        seed: 3,
        max_answer_tokens: 8,
    }
}

fn solver(name: &str, steps: usize) -> Solver {
    let folder = Folder::open(format!("../../models/{name}")).unwrap();
    let model = Model::load(&folder, &Device::Cpu, DType::F32).unwrap();
    let search = SearchOptions {
        n: 1,
        perturbation: Perturbation::None,
        steps,
        aggregate: vec![Aggregation::Majority],
        beams: 1,
        every: 1,
        candidates: 1,
        seed: 3,
        max_answer_tokens: 8,
    };
    Solver::new(model, None, search).unwrap()
}

fn traced(name: &str, steps: usize) -> Trace {
    trace(&solver(name, steps), QUESTION, &options(steps)).unwrap()
}

#[test]
fn recurrent_depth_is_recorded_token_by_token() {
    let steps = 32;
    let found = traced("tally-depth", steps);
    let [none, dropout, noise] = &found.sampled[..] else { panic!("three samplers") };
    assert_eq!([none, dropout, noise].map(|sampled| sampled.trajectories.len()), [1, 5, 5]);
    assert_eq!(none.trajectories[0].value, 12.0);
    assert_eq!(
        solver("tally-depth", steps).solve(QUESTION).unwrap().answers[0].text,
        none.trajectories[0].text
    );
    // The answer's tokens follow the prompt's.
    assert_eq!(
        (found.labels[0].as_str(), &found.labels[found.prompt..]),
        ("Ann", &["1".to_owned(), "2".into()][..])
    );
    assert!(found.starts.iter().all(|start| start.states.len() == found.labels.len()));

    let tracks: Vec<_> = found.tokens().collect();
    assert_eq!(tracks[found.prompt - 1].states[1..], none.trajectories[0].latents[..], "to the bit");
    // Trained with r about 8, the model has come to rest long before 32.
    assert!(tracks.iter().all(|track| classify(track.states) == Class::FixedPoint));
    for position in 0..found.labels.len() {
        let tracks: Vec<&[Vec<f32>]> =
            found.starts.iter().map(|start| start.states[position].as_slice()).collect();
        let apart = distance::spread(&tracks);
        assert!(apart.len() == steps + 1 && apart[0] > 1.0, "{apart:?}");
        assert!(apart[steps] < 0.05 * apart[0], "{position}: {apart:?}");
    }
}

#[test]
fn latent_chains_are_recorded_by_trajectory() {
    let found = traced("tally-coconut", 4);
    assert!(found.labels.is_empty() && found.starts.is_empty());
    for sampled in &found.sampled {
        assert!(sampled.trajectories.iter().all(|one| one.latents.len() == 4 && one.rewards.is_none()));
    }
    let views = |sampled: usize| -> Vec<&[Vec<f32>]> {
        found.sampled[sampled].trajectories.iter().map(|one| one.latents.as_slice()).collect()
    };
    assert!(distance::spread(&views(1)).iter().all(|&apart| apart > 0.0));
    let still = TraceOptions { dropout_p: 0.0, noise_std: 0.0, ..options(4) };
    let still = trace(&solver("tally-coconut", 4), QUESTION, &still).unwrap();
    assert_eq!(still.sampled[0].trajectories, found.sampled[0].trajectories);
    assert_eq!(still.sampled[1].trajectories[4].latents, found.sampled[0].trajectories[0].latents);
    assert_eq!(still.sampled[2].trajectories[4].latents, found.sampled[0].trajectories[0].latents);
}
