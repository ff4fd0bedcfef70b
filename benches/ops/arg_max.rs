//! The head of GPT-2 without its logits.

use std::hint::black_box;

use fathom::ops::arg_max::arg_max;

use crate::{
    data::{DTYPES, Rotation, tensor},
    linear::ROWS,
    suite::{Suite, Work},
};

/// GPT-2's width and vocabulary.
const SHAPE: (usize, usize) = (768, 50257);

pub(crate) fn bench(suite: &mut Suite) {
    let (k, n) = SHAPE;
    for dtype in DTYPES {
        suite.group(&format!("arg_max {dtype}"), |group| {
            for m in ROWS {
                let work =
                    Work { dtype, flop: 2 * m * k * n, bytes: k * n * dtype.bytes() + 4 * m * (k + 1) };
                group.case(format!("head {k}→{n}, M = {m}"), work, || {
                    let x = tensor(m, k);
                    let mut heads = Rotation::new(dtype, k, n);
                    let mut out = Vec::new();
                    move || arg_max(black_box(&x), heads.next(), &mut out).expect("shapes fit")
                });
            }
        });
    }
}
