//! Entropy and divergence of the logits of N trajectories from those a recurrence of Huginn ago: what exits on distributions
//! are decided by.

use std::hint::black_box;

use fathom::{DType, ops::entropy::entropy};

use crate::harness::{
    network::HUGINN,
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    let vocabulary = HUGINN.vocabulary;
    suite.group("entropy", DType::F32, |place, group| {
        for rows in [1, 8, 64, 256] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * rows * (2 * vocabulary + 2) };
            group.case(format!("[{rows}, {vocabulary}]"), work, || {
                let (logits, before) = (place.tensor(rows, vocabulary), place.tensor(rows, vocabulary));
                let mut out = place.empty();
                move || entropy(black_box(&logits), Some(&before), 0.1, &mut out).expect("shapes fit")
            });
        }
    });
}
