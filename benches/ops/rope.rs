//! Rotary positions of the heads of Llama 3.2 1B (queries and keys) and of Huginn.

use std::hint::black_box;

use fathom::{
    DType, Device, Tensor,
    ops::rope::{Layout, angles, frequency, rope},
};

use crate::{
    data::tensor,
    suite::{Suite, Work},
};

const ROWS: usize = 64;

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("rope", |group| {
        for (heads, dim, layout) in [(32 + 8, 64, Layout::HalfSplit), (2 * 55, 96, Layout::Interleaved)] {
            let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * ROWS * (2 * heads * dim + dim) };
            group.case(format!("[{ROWS}, {heads} · {dim}], {layout:?}"), work, || {
                let frequencies: Vec<f32> =
                    (0..dim / 2).map(|pair| frequency(10_000.0, 2 * pair, dim)).collect();
                let mut turns = Tensor::empty(&Device::Cpu);
                angles(&(0..ROWS).collect::<Vec<_>>(), &frequencies, &mut turns);
                let mut x = tensor(ROWS, heads * dim);
                move || rope(black_box(&mut x), heads, &turns, layout).expect("shapes fit")
            });
        }
    });
}
