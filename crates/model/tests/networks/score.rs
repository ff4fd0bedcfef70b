//! Log-likelihoods of continuations by r, beside each r computed on its own.

use fathom::{
    DType, Device,
    ops::linear::{Epilogue, linear},
    random::{Coordinates, Draw, Stream, key},
};
use fathom_model::{
    huginn::{CachePolicy, Continuation, Huginn},
    load::{Model, Network},
    pass::{Disturbance, Run},
};

use crate::{devices, fixture};

const STEPS: [usize; 4] = [0, 1, 3, 6];
const SEED: u64 = 4;
const PROMPT: [u32; 5] = [5, 9, 2, 7, 1];
const OTHER: [u32; 2] = [3, 3];

/// Of several lengths, behind two prompts.
fn continuations() -> Vec<Continuation<'static>> {
    let of = |prompt: &'static [u32], tokens: &'static [u32]| Continuation { prompt, tokens };
    vec![of(&PROMPT, &[4, 8, 15]), of(&PROMPT, &[4]), of(&OTHER, &[16, 23]), of(&PROMPT, &[42, 1])]
}

fn on(device: &Device, dtype: DType, test: impl Fn(&Huginn)) {
    let folder = fathom_model::folder::Folder::open(fixture("huginn-tiny")).unwrap();
    let model = Model::load(&folder, device, dtype).unwrap();
    let Network::Huginn(huginn) = &model.network else { panic!("recurrent") };
    test(huginn);
}

/// ln p with a cache of every iteration, softmax in double precision on the host.
fn expected(huginn: &Huginn, of: &Continuation<'_>, r: usize) -> f64 {
    let whole: Vec<u32> = of.prompt.iter().chain(of.tokens).copied().collect();
    let (mut sequence, mut scratch) = (huginn.sequence(), huginn.scratch());
    let mut runs = [Run::admit(&mut sequence, whole.len())];
    let embedded = huginn.prelude(&whole, &mut runs, &mut scratch).unwrap();
    let injected = huginn.inject(&embedded).unwrap();
    let draw = Draw { key: key(SEED, of.prompt, Stream::State), trajectory: 0 };
    let at = |position: usize| Coordinates { draw, position: position as u32, iteration: 0 };
    let mut state = huginn.initial_state(&(0..whole.len()).map(at).collect::<Vec<_>>()).unwrap();
    for t in 0..r {
        let (full, none) = (CachePolicy::Full, Disturbance::None);
        huginn.iterate(&mut state, &injected, &mut runs, t, full, &none, &mut scratch).unwrap();
    }
    let hidden = huginn.coda(&state, &mut runs, &mut scratch).unwrap();
    let mut logits = fathom::Tensor::empty(hidden.device());
    linear(&hidden, huginn.head(), None, Epilogue::None, &mut logits).unwrap();
    let rows = logits.to_rows().unwrap();
    let log_p = |(at, &token): (usize, &u32)| {
        let row = &rows[of.prompt.len() - 1 + at];
        let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        f64::from(row[token as usize]) - total.ln()
    };
    of.tokens.iter().enumerate().map(log_p).sum()
}

/// One pass over the deepest r gives what a pass for each r gives, on every device.
#[test]
fn every_r_is_what_a_pass_of_its_own_gives() {
    for device in devices() {
        on(&device, DType::F32, |huginn| {
            let found = huginn.log_likelihoods(&continuations(), &STEPS, SEED).unwrap();
            for (of, found) in continuations().iter().zip(found) {
                for (&r, found) in STEPS.iter().zip(found) {
                    let expected = expected(huginn, of, r);
                    // A few units of f32's rounding of logits of about 10, summed over three tokens.
                    assert!((found - expected).abs() < 2e-5, "{device}, r = {r}: {found} for {expected}");
                }
            }
        });
    }
}

/// What else is in the pass, and how deep it goes on, does not change a bit.
#[test]
fn a_continuation_stands_alone() {
    for dtype in [DType::F32, DType::Bf16] {
        on(&Device::Cpu, dtype, |huginn| {
            let together = huginn.log_likelihoods(&continuations(), &STEPS, SEED).unwrap();
            for (of, found) in continuations().iter().zip(&together) {
                let alone = huginn.log_likelihoods(&[*of], &STEPS[..3], SEED).unwrap();
                assert_eq!(alone[0], found[..3]);
            }
            let other = huginn.log_likelihoods(&continuations(), &STEPS, SEED + 1).unwrap();
            assert_ne!(other, together, "another seed, another s_0");
        });
    }
}

#[test]
fn the_next_token_is_certainly_one_of_them() {
    on(&Device::Cpu, DType::F32, |huginn| {
        let vocabulary = huginn.head().n();
        let ids: Vec<[u32; 1]> = (0..vocabulary as u32).map(|id| [id]).collect();
        let all: Vec<_> = ids.iter().map(|tokens| Continuation { prompt: &PROMPT, tokens }).collect();
        let found = huginn.log_likelihoods(&all, &[2], SEED).unwrap();
        let total: f64 = found.iter().map(|by_r| by_r[0].exp()).sum();
        // Each of some hundred terms is rounded to f32.
        assert!((total - 1.0).abs() < 1e-5, "{total}");
    });
}

#[test]
fn what_cannot_be_scored_is_refused() {
    on(&Device::Cpu, DType::F32, |huginn| {
        let score = |prompt: &[u32], tokens: &[u32], steps: &[usize]| {
            huginn.log_likelihoods(&[Continuation { prompt, tokens }], steps, SEED).map_err(|e| e.to_string())
        };
        assert!(score(&[], &[1], &[1]).unwrap_err().contains("no prompt"));
        assert!(score(&[1], &[], &[1]).unwrap_err().contains("no token"));
        let long = vec![1; huginn.context()];
        assert!(score(&long, &[1], &[1]).is_ok());
        let refused = score(&long, &[1, 1], &[1]).unwrap_err();
        assert!(refused.contains(&format!("does not fit the context of {}", huginn.context())), "{refused}");
        assert!(score(&[1], &[1], &[2, 2]).unwrap_err().contains("do not rise"));
        assert!(score(&[1], &[u32::MAX], &[1]).is_err());
        assert_eq!(score(&[1], &[1], &[]).unwrap(), [Vec::<f64>::new()]);
    });
}
