//! Rows of GPT-2's table, which is stored as its head.

use std::hint::black_box;

use fathom::ops::embedding::{Input, embedding};
use fathom_testkit::inputs::Inputs;

use crate::harness::{
    network::{GPT2, Network},
    suite::{DTYPES, Suite, Work},
};

const ROWS: usize = 64;

/// Sets of ids, taken in turn so that rows are not found in caches.
const SETS: usize = 64;

pub(crate) fn bench(suite: &mut Suite) {
    let Network { width, vocabulary, .. } = GPT2;
    for dtype in DTYPES {
        suite.group("embedding", dtype, |place, group| {
            let work = Work { dtype, flop: 0, bytes: ROWS * width * (dtype.bytes() + 4) };
            group.case(format!("{ROWS} of [{vocabulary}, {width}]"), work, || {
                let table = place.weight(width, vocabulary);
                let mut inputs = Inputs::new(2);
                let mut one = || Input::Token(inputs.below(vocabulary) as u32);
                let sets: Vec<Vec<Input<'_>>> =
                    (0..SETS).map(|_| (0..ROWS).map(|_| one()).collect()).collect();
                let mut out = place.empty();
                let mut at = 0;
                move || {
                    at = (at + 1) % SETS;
                    embedding(&table, black_box(&sets[at]), 1.0, None, &mut out)
                        .expect("ids of the vocabulary");
                }
            });
        });
    }
}
