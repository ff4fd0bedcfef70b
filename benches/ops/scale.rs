//! Latents of N trajectories times a number.

use std::hint::black_box;

use fathom::{DType, ops::scale::scale};

use crate::harness::{
    network::LLAMA,
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    let width = LLAMA.width;
    suite.group("scale", DType::F32, |place, group| {
        for rows in [1, 64, 256, 4096] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * 2 * rows * width };
            group.case(format!("[{rows}, {width}]"), work, || {
                let mut x = place.tensor(rows, width);
                // However often it is done, values stay what they are but for their signs.
                move || scale(black_box(&mut x), -1.0).expect("a tensor")
            });
        }
    });
}
