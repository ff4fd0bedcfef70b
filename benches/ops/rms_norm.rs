//! RMSNorm at the widths of Llama 3.2 1B and Huginn, and the two in a row where halves of a sandwich block meet.

use std::hint::black_box;

use fathom::ops::rms_norm::{double_norm, rms_norm};

use crate::{
    harness::{
        network::{HUGINN, LLAMA},
        suite::{DTYPES, Suite, Work},
    },
    operand_type,
};

const ROWS: [usize; 6] = [1, 64, 256, 512, 2048, 4096];

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("rms_norm", dtype, |place, group| {
            if operand_type(place) != dtype {
                return;
            }
            for (rows, width) in [LLAMA.width, HUGINN.width].into_iter().flat_map(|w| ROWS.map(|r| (r, w))) {
                let work = Work { dtype, flop: 0, bytes: (4 + operand_type(place).bytes()) * rows * width };
                group.case(format!("[{rows}, {width}]"), work, || {
                    let (x, weight) = (place.tensor(rows, width), place.tensor(1, width));
                    let mut out = place.empty_operand();
                    move || rms_norm(black_box(&x), &weight, 1e-5, &mut out).expect("shapes fit")
                });
            }
        });
        suite.group("double_norm", dtype, |place, group| {
            if operand_type(place) != dtype {
                return;
            }
            let width = HUGINN.width;
            for rows in ROWS {
                let work =
                    Work { dtype, flop: 0, bytes: (2 * 4 + operand_type(place).bytes()) * rows * width };
                group.case(format!("[{rows}, {width}]"), work, || {
                    let (mut x, first, second) =
                        (place.tensor(rows, width), place.tensor(1, width), place.tensor(1, width));
                    let mut out = place.empty_operand();
                    move || {
                        let x = black_box(&mut x);
                        double_norm(x, [&first, &second], 1e-5, &mut out).expect("shapes fit");
                    }
                });
            }
        });
    }
}
