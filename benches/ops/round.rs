//! f32 rows on their way into a product with bf16 weights, on a GPU; the CPU rounds as it multiplies.
//!
//! Only products round rows, so each case holds one, with as few columns as a weight has rows of 16 bytes.

use std::hint::black_box;

use fathom::{
    DType, Device,
    ops::linear::{Epilogue, linear},
};

use crate::harness::{
    network::{GPT2, HUGINN},
    suite::{Suite, Work},
};

const COLUMNS: usize = 8;

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("round", DType::Bf16, |place, group| {
        if place.device == Device::Cpu {
            return;
        }
        for (rows, width) in
            [GPT2.width, HUGINN.width].into_iter().flat_map(|width| [1, 64, 256].map(|rows| (rows, width)))
        {
            let rounding = (4 + 2) * rows * width;
            let product = 2 * (rows * width + width * COLUMNS + rows * COLUMNS);
            let work =
                Work { dtype: DType::Bf16, flop: 2 * rows * width * COLUMNS, bytes: rounding + product };
            group.case(format!("[{rows}, {width}], product of {COLUMNS} columns"), work, || {
                let (x, weight) = (place.tensor(rows, width), place.weight(width, COLUMNS));
                let mut out = place.empty_operand();
                move || linear(black_box(&x), &weight, None, Epilogue::None, &mut out).expect("shapes fit")
            });
        }
    });
}
