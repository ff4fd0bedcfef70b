//! Pictures of made-up paths, one of each class.

use fathom_model::{huginn::Recording, perturbation::Perturbation};
use fathom_search::trace::{Class, Sampled, Trace, TraceOptions, Trajectory};

use super::*;
use crate::trace::data::Traced;
use crate::trace::options::Asked;

const STEPS: usize = 32;

/// States in five dimensions around a base of length 10; `start` moves s_0 alone.
fn path(at: impl Fn(f64) -> [f64; 2], start: usize) -> Vec<Vec<f32>> {
    let state = |t: usize| {
        let [x, y] = at(t as f64);
        let away = if t == 0 { 9.0 } else { 0.5f64.powi(t as i32) * start as f64 };
        vec![10.0, (0.6 * x) as f32, (0.8 * x) as f32, y as f32, away as f32]
    };
    (0..=STEPS).map(state).collect()
}

fn tokens() -> Summary {
    let at = |class: Class| {
        move |t: f64| match class {
            Class::FixedPoint => [4.0 * 0.7f64.powf(t), 3.0 * 0.6f64.powf(t)],
            Class::Orbit => [2.0 * (0.5 * t).cos(), 1.7 * (0.5 * t).sin()],
            Class::Slider => [0.5 * t, 0.4 * (0.3 * t).sin()],
            Class::Unsettled => {
                [4.0 * 0.94f64.powf(t) * (0.7 * t).cos(), 4.0 * 0.94f64.powf(t) * (0.7 * t).sin()]
            }
        }
    };
    let start = |start| Recording { states: Class::ALL.map(|class| path(at(class), start)).to_vec() };
    let trajectory = |scale: f64| Trajectory {
        latents: path(move |t| [scale * t, scale], 0)[1..].to_vec(),
        text: "18".to_owned(),
        value: if scale > 0.1 { 18.0 } else { 7.0 },
        rewards: Some((0..STEPS).map(|t| (scale * t as f64 / 10.0) as f32).collect()),
    };
    let sampled = |perturbation, scales: &[f64]| Sampled {
        perturbation,
        trajectories: scales.iter().map(|&scale| trajectory(scale)).collect(),
    };
    let noise = |std| Perturbation::Noise { std, scope: Default::default() };
    let dropout = Perturbation::Dropout { p: 0.1, sites: Default::default(), scope: Default::default() };
    let trace = Trace {
        labels: ["a point", " circle\n", "a drift that has a long name", "spiral"]
            .map(str::to_owned)
            .to_vec(),
        prompt: 3,
        starts: (0..3).map(start).collect(),
        sampled: vec![
            sampled(Perturbation::None, &[0.1]),
            sampled(dropout, &[0.1, 0.2, 0.4]),
            sampled(noise(0.3), &[0.1, 0.12, 0.09]),
        ],
    };
    summary(&trace)
}

fn summary(trace: &Trace) -> Summary {
    let asked = Asked { index: 0, question: "What goes round?".to_owned(), target: Some(18.0) };
    Summary {
        version: "1",
        model: "m".to_owned(),
        reward: None,
        device: "cpu".to_owned(),
        dtype: "f32".to_owned(),
        options: TraceOptions {
            steps: STEPS,
            trajectories: 3,
            starts: 3,
            dropout_p: 0.1,
            noise_std: 0.3,
            seed: 0,
            max_answer_tokens: 8,
        },
        questions: vec![Traced::new(&asked, trace)],
    }
}

/// Each label of `expected` is a text of the picture, and no number in it is none.
fn check(svg: &str, expected: &[&str]) {
    let texts: Vec<&str> = svg.lines().map(str::trim).collect();
    for label in expected {
        assert!(texts.contains(label), "{label:?} is missing:\n{svg}");
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert!(raster::png(svg).is_ok());
}

#[test]
fn each_class_has_a_row_of_planes_and_a_colour() {
    let summary = tokens();
    let classes: Vec<Class> = summary.questions[0].tracks.iter().map(|track| track.class).collect();
    assert_eq!(classes, Class::ALL);
    let planes = planes::draw(&summary).unwrap().unwrap();
    check(
        &planes,
        &["a point", "circle\\n", "a drift that…", "spiral", "orbit", "slider", "step 1", "the last"],
    );
    let convergence = convergence::draw(&summary).unwrap().unwrap();
    check(&convergence, &["fixed point: 1", "orbit: 1", "slider: 1", "unsettled: 1", "step", "32"]);
}

#[test]
fn initial_states_samplers_and_rewards_have_pictures() {
    let summary = tokens();
    let apart = independence::draw(&summary).unwrap().unwrap();
    check(&apart, &["Distance between states from 3 initial states", "a token", "What goes round?"]);
    let spread = spread::draw(&summary).unwrap().unwrap();
    check(&spread, &["Spread of 3 trajectories", "dropout p = 0.1", "noise σ = 0.3"]);
    let rewards = rewards::draw(&summary).unwrap().unwrap();
    check(&rewards, &["right: 3", "wrong: 3", "step, noise σ = 0.3", "score", "score less mean of question"]);
}

#[test]
fn what_there_is_not_is_not_drawn() {
    let mut summary = tokens();
    for track in &mut summary.questions[0].tracks {
        track.apart.clear();
    }
    for sample in &mut summary.questions[0].samples {
        sample.right = None;
    }
    summary.questions[0].spread.clear();
    assert_eq!(independence::draw(&summary), Ok(None));
    assert_eq!(spread::draw(&summary), Ok(None));
    assert_eq!(rewards::draw(&summary), Ok(None));
    summary.questions.clear();
    assert_eq!(planes::draw(&summary), Ok(None));
    assert_eq!(convergence::draw(&summary), Ok(None));
}

#[test]
fn labels_are_one_line_of_bounded_length() {
    assert_eq!(label(" two words\n", 20), "two words\\n");
    assert_eq!(label("abcdef", 4), "abc…");
}
