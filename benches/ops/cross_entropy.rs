//! Losses and their gradient over a small vocabulary and over GPT-2's.

use std::hint::black_box;

use fathom::{DType, Device, ops::cross_entropy::cross_entropy};

use crate::harness::{
    network::GPT2,
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("cross_entropy", DType::F32, |place, group| {
        if place.device != Device::Cpu {
            return;
        }
        for (rows, vocabulary) in [(2048, 128), (256, GPT2.vocabulary)] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 8 * rows * vocabulary };
            group.case(format!("[{rows}, {vocabulary}]"), work, || {
                let mut logits = place.tensor(rows, vocabulary);
                let targets: Vec<Option<u32>> =
                    (0..rows).map(|row| Some((row % vocabulary) as u32)).collect();
                move || drop(cross_entropy(black_box(&mut logits), &targets, 1.0).expect("shapes fit"))
            });
        }
    });
}
