//! Cosines of the latents of all pairs of N trajectories.

use std::hint::black_box;

use fathom::{DType, ops::cosine::cosine};

use crate::harness::{
    network::{GPT2, HUGINN},
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("cosine", DType::F32, |place, group| {
        for (rows, width) in [GPT2.width, HUGINN.width].into_iter().flat_map(|w| [8, 64, 256].map(|r| (r, w)))
        {
            // A pair has one product, whichever row comes first.
            let flop = rows * (rows + 1) * width;
            let work = Work { dtype: DType::F32, flop, bytes: 4 * rows * (width + rows) };
            group.case(format!("[{rows}, {width}]"), work, || {
                let x = place.tensor(rows, width);
                let mut out = place.empty();
                move || cosine(black_box(&x), &mut out).expect("shapes fit")
            });
        }
    });
}
