//! Rows of GPT-2's table, which is stored as its head.

use std::hint::black_box;

use fathom::{Device, Tensor, ops::embedding::embedding};
use fathom_testkit::inputs::Inputs;

use crate::{
    data::{DTYPES, weight},
    suite::{Suite, Work},
};

/// GPT-2's width and vocabulary.
const SHAPE: (usize, usize) = (768, 50257);
const ROWS: usize = 64;

/// Sets of ids, taken in turn so that rows are not found in caches.
const SETS: usize = 64;

pub(crate) fn bench(suite: &mut Suite) {
    let (width, vocabulary) = SHAPE;
    suite.group("embedding", |group| {
        for dtype in DTYPES {
            let work = Work { dtype, flop: 0, bytes: ROWS * width * (dtype.bytes() + 4) };
            group.case(format!("{ROWS} of [{vocabulary}, {width}] {dtype}"), work, || {
                let table = weight(dtype, width, vocabulary);
                let mut inputs = Inputs::new(2);
                let mut one = || inputs.below(vocabulary) as u32;
                let sets: Vec<Vec<u32>> = (0..SETS).map(|_| (0..ROWS).map(|_| one()).collect()).collect();
                let mut out = Tensor::empty(&Device::Cpu);
                let mut at = 0;
                move || {
                    at = (at + 1) % SETS;
                    embedding(&table, black_box(&sets[at]), 1.0, &mut out).expect("ids of the vocabulary");
                }
            });
        }
    });
}
