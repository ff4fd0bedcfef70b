//! RMSNorm at the widths of Llama 3.2 1B and Huginn.

use std::hint::black_box;

use fathom::{DType, Device, Tensor, ops::rms_norm::rms_norm};

use crate::{
    data::{tensor, vector},
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("rms_norm", |group| {
        for (rows, width) in [(1, 2048), (64, 2048), (64, 5280)] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * 2 * rows * width };
            group.case(format!("[{rows}, {width}]"), work, || {
                let (x, weight) = (tensor(rows, width), vector(width));
                let mut out = Tensor::empty(&Device::Cpu);
                move || rms_norm(black_box(&x), &weight, 1e-5, &mut out).expect("shapes fit")
            });
        }
    });
}
