//! Huginn's adapter at its full width.

use std::hint::black_box;

use fathom::{Device, Perturb, Tensor, ops::adapter::adapter};

use crate::{
    data::{DTYPES, Rotation, tensor},
    suite::{Suite, Work},
};

const WIDTH: usize = 5280;

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group(&format!("adapter {dtype}"), |group| {
            for m in [1, 64] {
                let bytes = WIDTH * WIDTH * dtype.bytes() + 4 * 3 * m * WIDTH;
                let work = Work { dtype, flop: 2 * m * WIDTH * WIDTH, bytes };
                group.case(format!("{WIDTH}→{WIDTH}, M = {m}"), work, || {
                    let (mut state, injected) = (tensor(m, WIDTH), tensor(m, WIDTH));
                    let mut weights = Rotation::new(dtype, WIDTH, WIDTH);
                    let mut out = Tensor::empty(&Device::Cpu);
                    move || {
                        let state = black_box(&mut state);
                        adapter(state, weights.next(), &injected, Perturb::None, &mut out)
                            .expect("shapes fit");
                    }
                });
            }
        });
    }
}
