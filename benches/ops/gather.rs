//! Rows that are chosen: those that go on when others have ended, forks of beams, and the latents of chains that are
//! perturbed each on its own.

use std::hint::black_box;

use fathom::{DType, Tensor};

use crate::harness::{
    network::{GPT2, HUGINN},
    suite::{Suite, Work},
};

/// Children of a beam.
const CHILDREN: usize = 4;

const WIDTHS: [usize; 2] = [GPT2.width, HUGINN.width];
const ROWS: [usize; 2] = [64, 256];

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("select", DType::F32, |place, group| {
        for (width, rows) in WIDTHS.into_iter().flat_map(|width| ROWS.map(|rows| (width, rows))) {
            let odd: Vec<usize> = (0..rows / 2).map(|row| 2 * row + 1).collect();
            let forks: Vec<usize> = (0..rows).map(|row| row / CHILDREN).collect();
            for (name, of, read, chosen) in [
                (format!("{} of [{rows}, {width}]", rows / 2), rows, rows / 2, odd),
                (
                    format!("{CHILDREN} times [{}, {width}]", rows / CHILDREN),
                    rows / CHILDREN,
                    rows / CHILDREN,
                    forks,
                ),
            ] {
                let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * (read + chosen.len()) * width };
                group.case(name, work, || {
                    let x = place.tensor(of, width);
                    let mut out = place.empty();
                    move || black_box(&x).select(&chosen, &mut out).expect("rows that there are")
                });
            }
        }
    });
    suite.group("gather", DType::F32, |place, group| {
        for (width, rows) in WIDTHS.into_iter().flat_map(|width| ROWS.map(|rows| (width, rows))) {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * 2 * rows * width };
            group.case(format!("{rows} of as many [1, {width}]"), work, || {
                let tensors: Vec<Tensor> = (0..rows).map(|_| place.tensor(1, width)).collect();
                let mut out = place.empty();
                move || {
                    let chosen: Vec<(&Tensor, usize)> = tensors.iter().map(|tensor| (tensor, 0)).collect();
                    out.gather(black_box(&chosen)).expect("rows that there are");
                }
            });
        }
    });
}
