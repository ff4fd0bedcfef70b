//! Sampling filters and generation, under the rules of the published code.

use fathom_model::{
    generate::{
        Carry, Decoding, Draft, Emitted, ExitRule, Freeze, Lanes, Preset, Sampling, Settings, Speculative,
        Wave, Wavefront,
    },
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

#[test]
fn speculative_decoding() {
    with(|huginn, golden| {
        let runs = &golden["generation_greedy"];
        let prompt = ids(&runs["prompt"]);
        for (name, threshold) in [("spec_d3_look4_r9", 1.0), ("spec_d3_look4_r9_thr0.5", 0.5)] {
            let draft = Draft { steps: 3, lookahead: 4, threshold };
            let decoding =
                Speculative::new(huginn, vec![prompt.clone()], 1, reference(9, 22), draft).unwrap();
            let emitted: Vec<Emitted> = decoding.map(Result::unwrap).collect();
            // The published code runs past the number of tokens that it is asked for (spec huginn, Appendix A).
            assert_eq!(whole(&prompt, &emitted), ids(&runs[name])[..30], "{name}");
        }
    });
}

#[test]
fn wavefront_decoding() {
    with(|huginn, golden| {
        let runs = &golden["generation_greedy"];
        let prompt = ids(&runs["prompt"]);
        let shared = CachePolicy::from_name("latest-m4-compress-s4", 4).unwrap();
        let base = Wave { threshold: 0.25, noise: 0.0, ema: 0.0, ..Wave::default() };
        for (name, wave) in [
            ("diffusion_ld_t0.25_inner2_ema0.1", Wave { inner: 2, ema: 0.1, ..base }),
            ("diffusion_ld_t0.25_inner4_ema0", Wave { inner: 4, ..base }),
            ("diffusion_fixed_inner3", Wave { inner: 3, freeze: Freeze::Fixed, ..base }),
            ("diffusion_tokstab_inner4", Wave { inner: 4, freeze: Freeze::TokenStability, ..base }),
        ] {
            let settings = Settings { cache: shared, ..reference(9, 22) };
            let mut decoding = Wavefront::new(huginn, vec![prompt.clone()], settings, wave).unwrap();
            let emitted: Vec<Emitted> = decoding.by_ref().map(Result::unwrap).collect();
            let (got, recorded) = (whole(&prompt, &emitted), ids(&runs[name]));
            assert_eq!(got, recorded, "{name}");
            let stats = &runs[format!("{name}_stats")];
            let rounds = stats["diffusion_steps"].as_u64().unwrap() as usize;
            assert_eq!(decoding.rounds(), rounds, "{name}");
            // The file counts the prompt's iterations as one pass.
            let passes = stats["num_core_forward_passes"].as_u64().unwrap() as usize;
            assert_eq!(decoding.cost().core_passes - 9 + 1, passes, "{name}");
            let rows = stats["num_tokens_forward"].as_u64().unwrap() as usize;
            assert_eq!(decoding.cost().core_rows - 9 * prompt.len() + prompt.len(), rows, "{name}");
        }
    });
}
