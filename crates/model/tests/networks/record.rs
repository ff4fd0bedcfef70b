//! States of every position by iteration and initial state.

use fathom::{
    DType, Device,
    random::{Coordinates, Draw},
};
use fathom_model::{
    folder::Folder,
    huginn::{CachePolicy, Huginn},
    load::{Model, Network},
    pass::{Disturbance, Run},
};

use crate::{devices, fixture};

const TOKENS: [u32; 6] = [5, 9, 2, 7, 1, 30];
const KEY: u64 = 77;

fn on(device: &Device, test: impl Fn(&Huginn)) {
    let model = Model::load(&Folder::open(fixture("huginn-tiny")).unwrap(), device, DType::F32).unwrap();
    let Network::Huginn(huginn) = &model.network else { panic!("recurrent") };
    test(huginn);
}

/// Position by position from a full cache, start by start: each alone is what it is beside the others.
#[test]
fn states_are_those_of_decoding_token_by_token() {
    for device in devices() {
        on(&device, |huginn| {
            let found = huginn.record(&TOKENS, 3, 2, KEY).unwrap();
            assert_eq!(found.len(), 2);
            for (start, recording) in found.iter().enumerate() {
                let (mut sequence, mut scratch) = (huginn.sequence(), huginn.scratch());
                for (position, token) in TOKENS.iter().enumerate() {
                    let mut runs = [Run::admit(&mut sequence, 1)];
                    let embedded = huginn.prelude(&[*token], &mut runs, &mut scratch).unwrap();
                    let injected = huginn.inject(&embedded).unwrap();
                    let draw = Draw { key: KEY, trajectory: start as u32 };
                    let at = Coordinates { draw, position: position as u32, iteration: 0 };
                    let mut state = huginn.initial_state(&[at]).unwrap();
                    let mut expected = vec![state.to_vec().unwrap()];
                    for t in 0..3 {
                        let (full, none) = (CachePolicy::Full, Disturbance::None);
                        huginn
                            .iterate(&mut state, &injected, &mut runs, t, full, &none, &mut scratch)
                            .unwrap();
                        expected.push(state.to_vec().unwrap());
                    }
                    let pairs = recording.states[position].iter().flatten().zip(expected.iter().flatten());
                    for (ours, theirs) in pairs {
                        // The CPU sums in one order whatever is packed; a GPU where a prompt ends (docs/numerics.md).
                        let slack = if device == Device::Cpu { 0.0 } else { 1e-4 * theirs.abs().max(1.0) };
                        assert!((ours - theirs).abs() <= slack, "{device}, {position}: {ours} for {theirs}");
                    }
                }
            }
        });
    }
}

/// So many starts that they take several passes.
#[test]
fn starts_do_not_depend_on_their_number() {
    on(&Device::Cpu, |huginn| {
        let most = huginn.record(&TOKENS, 2, 50, KEY).unwrap();
        assert_eq!(huginn.record(&TOKENS, 2, 3, KEY).unwrap(), most[..3]);
        assert_ne!(most[0], most[49]);
        assert_eq!(huginn.record(&TOKENS, 0, 1, KEY).unwrap()[0].states[0].len(), 1);
        assert!(huginn.record(&[], 2, 1, KEY).is_err());
        let long = vec![1; huginn.context() + 1];
        assert!(huginn.record(&long, 1, 1, KEY).unwrap_err().to_string().contains("context"));
    });
}
