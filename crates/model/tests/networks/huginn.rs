//! Recurrent depth beyond the recordings: initial states, caches cut in other places.

use fathom::{
    DType, Device, Tensor,
    random::{Coordinates, Draw},
};
use fathom_model::{
    folder::Folder,
    huginn::{CachePolicy, Huginn},
    load::{Model, Network},
    pass::{Disturbance, Run},
};

use crate::fixture;

fn with(test: impl Fn(&Huginn)) {
    for name in ["huginn-tiny", "huginn-hd96"] {
        let model = Model::load(&Folder::open(fixture(name)).unwrap(), &Device::Cpu, DType::F32).unwrap();
        let Network::Huginn(huginn) = &model.network else { panic!("{name} is recurrent") };
        test(huginn);
    }
}

/// s_0 has standard deviation 0.9865784·√(2/5) = 0.623967 and ends at ±3·√(2/5) (spec huginn §1.7).
#[test]
fn initial_states_are_like_init() {
    with(|huginn| {
        let rows = 40_000 / huginn.width();
        let draw = Draw { key: 5, trajectory: 0 };
        let at = |position| Coordinates { draw, position, iteration: 0 };
        let state = huginn.initial_state(&(0..rows as u32).map(at).collect::<Vec<_>>()).unwrap();
        let n = state.data().len() as f64;
        let std = (state.data().iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n).sqrt();
        assert!((std - 0.623_967).abs() < 4.0 * 0.624 / (2.0 * n).sqrt(), "{std}");
        let largest = state.data().iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(largest <= 3.0 * 0.4f32.sqrt() + 1e-5 && largest > 1.7, "{largest}");
        assert_eq!(huginn.initial_state(&[at(3)]).unwrap().row(0), state.row(3), "a row stands alone");
        let again = huginn.initial_state(&[at(3), at(1), at(3)]).unwrap();
        assert_eq!(
            [0, 1, 2].map(|row| again.row(row)),
            [3, 1, 3].map(|row| state.row(row)),
            "rows drawn once"
        );
    });
}

/// Head states of a sequence that is fed in pieces.
fn pieces(huginn: &Huginn, tokens: &[u32], cuts: &[usize], policy: CachePolicy, steps: usize) -> Vec<f32> {
    let mut sequence = huginn.sequence();
    let mut scratch = huginn.scratch();
    let mut out = Vec::new();
    let mut first = 0;
    for &end in cuts.iter().chain([&tokens.len()]) {
        let mut runs = [Run::admit(&mut sequence, end - first)];
        let embedded = huginn.prelude(&tokens[first..end], &mut runs, &mut scratch).unwrap();
        let injected = huginn.inject(&embedded).unwrap();
        let draw = Draw { key: 9, trajectory: 0 };
        let at = |p: usize| Coordinates { draw, position: p as u32, iteration: 0 };
        let mut state: Tensor = huginn.initial_state(&(first..end).map(at).collect::<Vec<_>>()).unwrap();
        for t in 0..steps {
            let none = Disturbance::None;
            huginn.iterate(&mut state, &injected, &mut runs, t, policy, &none, &mut scratch).unwrap();
        }
        out.extend(huginn.coda(&state, &mut runs, &mut scratch).unwrap().into_data().unwrap());
        first = end;
    }
    out
}

/// With a full cache it does not matter where a sequence is cut, not even in the last bit; with shared iterations it
/// does (spec huginn §3.1), and as many shared as taken is full again.
#[test]
fn packed_equals_incremental_with_a_full_cache() {
    with(|huginn| {
        let tokens: Vec<u32> = (0..9).map(|i| (i * 37 + 11) % 100).collect();
        let run = |cuts: &[usize], policy| pieces(huginn, &tokens, cuts, policy, 4);
        let packed = run(&[], CachePolicy::Full);
        for cuts in [&[4][..], &[1, 2, 3, 4, 5, 6, 7, 8], &[8]] {
            assert_eq!(run(cuts, CachePolicy::Full), packed, "{cuts:?}");
            assert_eq!(run(cuts, CachePolicy::LatestM4), packed, "{cuts:?}");
            assert_eq!(run(cuts, CachePolicy::Shared { iterations: 4 }), packed, "{cuts:?}");
        }
        let shared = CachePolicy::Shared { iterations: 2 };
        assert_eq!(run(&[], shared), packed, "all tokens of a call are at the same iteration");
        assert_ne!(run(&[4], shared), packed);
    });
}
