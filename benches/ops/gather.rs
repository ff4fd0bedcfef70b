//! Rows that are chosen: those that go on when others have ended.

use std::hint::black_box;

use fathom::DType;

use crate::harness::{
    network::{GPT2, HUGINN},
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("select", DType::F32, |place, group| {
        for width in [GPT2.width, HUGINN.width] {
            for rows in [64, 256] {
                let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * rows * width };
                group.case(format!("{} of [{rows}, {width}]", rows / 2), work, || {
                    let x = place.tensor(rows, width);
                    let odd: Vec<usize> = (0..rows / 2).map(|row| 2 * row + 1).collect();
                    let mut out = place.empty();
                    move || black_box(&x).select(&odd, &mut out).expect("rows that there are")
                });
            }
        }
    });
}
