//! LayerNorm at the width of GPT-2 small.

use std::hint::black_box;

use fathom::{DType, Device, Tensor, ops::layer_norm::layer_norm};

use crate::{
    data::{tensor, vector},
    suite::{Suite, Work},
};

const WIDTH: usize = 768;

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("layer_norm", |group| {
        for rows in [1, 64, 256] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * 2 * rows * WIDTH };
            group.case(format!("[{rows}, {WIDTH}]"), work, || {
                let (x, weight, bias) = (tensor(rows, WIDTH), vector(WIDTH), vector(WIDTH));
                let mut out = Tensor::empty(&Device::Cpu);
                move || layer_norm(black_box(&x), &weight, &bias, 1e-5, &mut out).expect("shapes fit")
            });
        }
    });
}
