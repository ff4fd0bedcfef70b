//! Forwards, caches, criteria.

use fathom::{
    Device, Tensor,
    ops::linear::{Epilogue, linear},
};
use fathom_model::{
    huginn::{CachePolicy, Criterion, ExitMonitor, Huginn},
    pass::{Disturbance, Run},
};
use serde_json::Value;

use crate::network::{given, ids, numbers, with};

/// The file's own tolerance: float64 agrees with it within 2.3e-6 (spec huginn, Appendix A).
const TOLERANCE: f32 = 1e-5;

fn near(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= TOLERANCE, "{what} [{at}]: {got} for {expected}");
    }
}

fn zeros(rows: usize) -> Tensor {
    Tensor::zeros(&Device::Cpu, rows, 32).unwrap()
}

fn logits(huginn: &Huginn, hidden: &Tensor) -> Tensor {
    let mut out = Tensor::empty(&Device::Cpu);
    linear(hidden, huginn.head(), None, Epilogue::None, &mut out).unwrap();
    out
}

/// One call: tokens that extend `sequence` at r = `steps`; logits and ln_f(s_r) of all rows.
fn call(
    huginn: &Huginn,
    sequence: &mut fathom::kv::Sequence,
    tokens: &[u32],
    mut state: Tensor,
    steps: usize,
    policy: CachePolicy,
) -> [Tensor; 2] {
    let (mut runs, mut scratch) = ([Run::admit(sequence, tokens.len())], huginn.scratch());
    let embedded = huginn.prelude(tokens, &mut runs, &mut scratch).unwrap();
    let injected = huginn.inject(&embedded).unwrap();
    for t in 0..steps {
        huginn
            .iterate(&mut state, &injected, &mut runs, t, policy, &Disturbance::None, &mut scratch)
            .unwrap();
    }
    let hidden = huginn.coda(&state, &mut runs, &mut scratch).unwrap();
    [logits(huginn, &hidden), huginn.latent_states(&state).unwrap()]
}

#[test]
fn packed_forwards() {
    with(|huginn, golden| {
        let tokens = ids(&golden["ids"]);
        let last = tokens.len() - 1;
        for (kind, steps) in
            [("zero", 1), ("given", 1), ("zero", 4), ("given", 4), ("zero", 9), ("given", 9), ("given", 0)]
        {
            let name = format!("forward_{kind}_s0_r{steps}");
            let expected = &golden["cases"][&name];
            let state = if kind == "zero" { zeros(tokens.len()) } else { given(0, tokens.len()) };
            let mut sequence = huginn.sequence();
            let [logits, latents] = call(huginn, &mut sequence, &tokens, state, steps, CachePolicy::Full);
            near(logits.row(last), &numbers(&expected["logits_last"]), &name);
            if let Some(first) = expected.get("logits_pos0") {
                near(logits.row(0), &numbers(first), &name);
            }
            if let Some(expected) = expected.get("latents_ln_f_last") {
                near(latents.row(last), &numbers(expected), &name);
            }
            if let Some(expected) = expected.get("argmax") {
                let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
                let found: Vec<u32> = (0..=last).map(|row| best(logits.row(row)) as u32).collect();
                assert_eq!(found, ids(expected), "{name}");
            }
            let sum: f64 = logits.data().iter().map(|x| f64::from(x.abs())).sum();
            let expected = expected["logits_sum_abs"].as_f64().unwrap();
            assert!((sum - expected).abs() <= 1e-6 * expected, "{name}: {sum} for {expected}");
        }
    });
}

#[test]
fn prelude_and_one_iteration() {
    with(|huginn, golden| {
        let tokens = ids(&golden["ids"]);
        let (mut sequence, mut scratch) = (huginn.sequence(), huginn.scratch());
        let mut runs = [Run::admit(&mut sequence, tokens.len())];
        let embedded = huginn.prelude(&tokens, &mut runs, &mut scratch).unwrap();
        let injected = huginn.inject(&embedded).unwrap();
        let mut state = given(0, tokens.len());
        let (none, policy) = (Disturbance::None, CachePolicy::Full);
        huginn.iterate(&mut state, &injected, &mut runs, 0, policy, &none, &mut scratch).unwrap();
        for (name, got) in [("prelude_e", &embedded), ("core_iter1_raw_given_s0", &state)] {
            near(got.row(0), &numbers(&golden["cases"][name]["pos0"]), name);
            near(got.row(tokens.len() - 1), &numbers(&golden["cases"][name]["last"]), name);
        }
    });
}

/// All recorded strategies, with equal depths and with depths that differ, and one token by token.
#[test]
fn cached_decoding() {
    with(|huginn, golden| {
        let tokens = ids(&golden["ids"]);
        let cases = golden["cases"].as_object().unwrap();
        let mut seen = 0;
        for (name, case) in cases.iter().filter(|(name, _)| name.starts_with("cached_")) {
            seen += 1;
            let rest = name.strip_prefix("cached_").unwrap();
            let mut sequence = huginn.sequence();
            if let Some((strategy, _)) = rest.split_once("_token_by_token") {
                let policy = CachePolicy::from_name(strategy, huginn.core_blocks()).unwrap();
                let mut last = Vec::new();
                for token in &tokens {
                    let [logits, _] = call(huginn, &mut sequence, &[*token], zeros(1), 9, policy);
                    last = logits.row(0).to_vec();
                }
                near(&last, &numbers(&case["last_logits"]), name);
                continue;
            }
            let (strategy, _) = rest.split_once("_pre").unwrap();
            let policy = CachePolicy::from_name(strategy, huginn.core_blocks()).unwrap();
            for step in case["steps"].as_array().unwrap() {
                let (position, steps) =
                    (step["pos"].as_u64().unwrap() as usize, step["r"].as_u64().unwrap() as usize);
                let rows = sequence.len()..position + 1;
                let state = zeros(rows.len());
                let [logits, _] = call(huginn, &mut sequence, &tokens[rows.clone()], state, steps, policy);
                near(logits.row(rows.len() - 1), &numbers(&step["logits"]), &format!("{name} at {position}"));
            }
            let kept = case["slots"].as_array().unwrap().len();
            assert_eq!(sequence.slots(), kept, "{name}: slots");
        }
        assert_eq!(seen, 12);
    });
}

#[test]
fn exit_criteria() {
    with(|huginn, golden| {
        let tokens = ids(&golden["ids"]);
        for criterion in Criterion::ALL.into_iter().filter(|c| *c != Criterion::SecondDifference) {
            let name = format!("exit_trace_{}", criterion.name());
            let trace: &Vec<Value> = golden["cases"][&name].as_array().unwrap();
            let (mut sequence, mut scratch) = (huginn.sequence(), huginn.scratch());
            let mut runs = [Run::admit(&mut sequence, tokens.len())];
            let embedded = huginn.prelude(&tokens, &mut runs, &mut scratch).unwrap();
            let injected = huginn.inject(&embedded).unwrap();
            let mut state = given(0, tokens.len());
            let mut monitor = ExitMonitor::new(criterion, criterion.default_threshold(), state.clone());
            for (t, expected) in trace.iter().enumerate() {
                let (none, policy) = (Disturbance::None, CachePolicy::Full);
                huginn.iterate(&mut state, &injected, &mut runs, t, policy, &none, &mut scratch).unwrap();
                let mut last = Tensor::empty(&Device::Cpu);
                let hidden = huginn.coda(&state, &mut runs, &mut scratch).unwrap();
                hidden.select(&[tokens.len() - 1], &mut last).unwrap();
                let exit = monitor.check(&state, &logits(huginn, &last)).unwrap();
                let value = expected[0].as_f64().unwrap() as f32;
                let allowed = TOLERANCE * value.abs().max(1.0);
                assert!((exit.value - value).abs() <= allowed, "{name} {t}: {} for {value}", exit.value);
                assert_eq!(exit.exit, expected[1].as_bool().unwrap(), "{name} {t}");
            }
        }
    });
}
