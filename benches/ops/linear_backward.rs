//! The gradient of a linear's matrix, at widths of small networks and of GPT-2, and what repacking a changed matrix takes.

use std::hint::black_box;

use fathom::{DType, Device, Weight, ops::linear::linear_backward_weight};

use crate::harness::suite::{Suite, Work};

/// Rows of a training batch.
const ROWS: usize = 2048;

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("linear_backward", DType::F32, |place, group| {
        if place.device != Device::Cpu {
            return;
        }
        for (k, n) in [(128, 128), (128, 512), (768, 768), (768, 3072)] {
            let bytes = 4 * (ROWS * (k + n) + 2 * k * n);
            let work = Work { dtype: DType::F32, flop: 2 * ROWS * k * n, bytes };
            group.case(format!("[{ROWS}, {n}]ᵀ·[{ROWS}, {k}]"), work, || {
                let (x, dy, mut dw) = (place.tensor(ROWS, k), place.tensor(ROWS, n), place.tensor(n, k));
                move || linear_backward_weight(black_box(&x), &dy, &mut dw).expect("shapes fit")
            });
        }
        for transposed in [false, true] {
            let (rows, width) = (3072, 768);
            let work = Work { dtype: DType::F32, flop: 0, bytes: 8 * rows * width };
            let name = if transposed { "columns" } else { "rows" };
            group.case(format!("{name} of [{rows}, {width}] as a weight"), work, || {
                let stored = place.tensor(rows, width);
                let mut weight = Weight::of_rows(&stored).expect("a weight on the CPU");
                move || match transposed {
                    true => weight.assign_columns(black_box(&stored)).expect("one device"),
                    false => weight.assign_rows(black_box(&stored)).expect("one device"),
                }
            });
        }
    });
}
