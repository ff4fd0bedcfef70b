//! LayerNorm at the width of GPT-2 small.

use std::hint::black_box;

use fathom::ops::layer_norm::layer_norm;

use crate::{
    harness::{
        network::GPT2,
        suite::{DTYPES, Suite, Work},
    },
    operand_type,
};

pub(crate) fn bench(suite: &mut Suite) {
    let width = GPT2.width;
    for dtype in DTYPES {
        suite.group("layer_norm", dtype, |place, group| {
            if operand_type(place) != dtype {
                return;
            }
            for rows in [1, 64, 256, 1024, 4096] {
                let work = Work { dtype, flop: 0, bytes: (4 + operand_type(place).bytes()) * rows * width };
                group.case(format!("[{rows}, {width}]"), work, || {
                    let x = place.tensor(rows, width);
                    let (weight, bias) = (place.tensor(1, width), place.tensor(1, width));
                    let mut out = place.empty_operand();
                    move || layer_norm(black_box(&x), &weight, &bias, 1e-5, &mut out).expect("shapes fit")
                });
            }
        });
    }
}
