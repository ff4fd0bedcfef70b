//! Sampling filters and generation, under the rules of the published code.

use fathom_model::{
    generate::{Carry, Emitted, ExitRule, Lanes, Preset, Sampling, Settings},
    huginn::{CachePolicy, Criterion, Huginn},
};
use serde_json::Value;

use crate::network::{golden, ids, numbers, with};

/// Zero initial states, as all recorded generations have.
fn reference(steps: usize, max_tokens: usize) -> Settings {
    Settings { initial: 0.0, preset: Preset::Reference, ..Settings::new(steps, max_tokens) }
}

fn continued(huginn: &Huginn, prompt: &[u32], settings: Settings) -> Vec<Emitted> {
    let lanes = Lanes::new(huginn, vec![prompt.to_vec()], 1, settings).unwrap();
    lanes.map(Result::unwrap).collect()
}

/// The prompt and the tokens behind it.
fn whole(prompt: &[u32], emitted: &[Emitted]) -> Vec<u32> {
    prompt.iter().copied().chain(emitted.iter().map(|emitted| emitted.token)).collect()
}

#[test]
fn sampling_filters() {
    let golden = golden();
    let filters = &golden["sampling_filter_probs"];
    let logits = numbers(&filters["logits"]);
    let plain = Sampling { temperature: 1.0, ..Sampling::GREEDY };
    for (name, sampling) in [
        ("t0.7", Sampling { temperature: 0.7, ..plain }),
        ("t1_topk3", Sampling { top_k: 3, ..plain }),
        ("t1_topp0.7", Sampling { top_p: 0.7, ..plain }),
        ("t1_topk4_topp0.7", Sampling { top_k: 4, top_p: 0.7, ..plain }),
        ("t1_minp0.3", Sampling { min_p: 0.3, ..plain }),
    ] {
        let got = sampling.probabilities(&logits, Preset::Reference);
        for (got, expected) in got.iter().zip(numbers(&filters[name])) {
            // Seven digits in the file, f32 sums on both sides.
            assert!((got - expected).abs() <= 1e-6, "{name}: {got} for {expected}");
        }
    }
}

#[test]
fn plain_decoding() {
    with(|huginn, golden| {
        let runs = &golden["generation_greedy"];
        let prompt = ids(&runs["prompt"]);
        let shared = CachePolicy::from_name("latest-m4-compress-s4", 4).unwrap();
        let base = reference(9, 22);
        for (name, settings) in [
            ("minimal_full_r9", base.clone()),
            ("minimal_full_r9_continuous", Settings { carry: Carry::Normed, ..base.clone() }),
            ("minimal_s4_r9", Settings { cache: shared, ..base }),
        ] {
            let emitted = continued(huginn, &prompt, settings);
            assert_eq!(whole(&prompt, &emitted), ids(&runs[name]), "{name}");
        }
    });
}

#[test]
fn adaptive_decoding() {
    with(|huginn, golden| {
        let runs = &golden["generation_greedy"];
        let prompt = ids(&runs["prompt"]);
        for (criterion, threshold) in [
            (Criterion::EntropyDiff, "0.02"),
            (Criterion::LatentDiff, "0.25"),
            (Criterion::Kl, "0.02"),
            (Criterion::MinpKl, "0.01"),
            (Criterion::ArgmaxStability, "2"),
            (Criterion::Cosine, "0.03"),
        ] {
            let name = format!("adaptive_{}_{threshold}_latest-m4_max16", criterion.name());
            let rule = ExitRule {
                threshold: threshold.parse().unwrap(),
                in_prompt: true,
                ..ExitRule::new(criterion)
            };
            let settings = Settings { cache: CachePolicy::LatestM4, exit: Some(rule), ..reference(16, 22) };
            let emitted = continued(huginn, &prompt, settings);
            assert_eq!(whole(&prompt, &emitted), ids(&runs[&name]), "{name}");
            let steps: Vec<usize> = emitted.iter().map(|emitted| emitted.steps).collect();
            let expected: &Value = &runs[format!("{name}_steps")];
            let expected: Vec<usize> = ids(expected).into_iter().map(|steps| steps as usize).collect();
            assert_eq!(steps, expected, "{name}");
        }
    });
}
