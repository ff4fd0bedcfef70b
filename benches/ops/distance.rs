//! How far the states of N trajectories moved within a recurrence of Huginn: what exits on states are decided by.

use std::hint::black_box;

use fathom::{DType, ops::distance::distance};

use crate::harness::{
    network::HUGINN,
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    let width = HUGINN.width;
    suite.group("distance", DType::F32, |place, group| {
        for rows in [1, 64, 256] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * rows * (2 * width + 4) };
            group.case(format!("[{rows}, {width}]"), work, || {
                let (x, y) = (place.tensor(rows, width), place.tensor(rows, width));
                let mut out = place.empty();
                move || distance(black_box(&x), &y, &mut out).expect("shapes fit")
            });
        }
    });
}
