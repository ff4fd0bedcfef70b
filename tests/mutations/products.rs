//! Products, in each of their tiles.

use fathom::{
    DType, Perturb, Tensor, Tokens, Weight,
    kv::{Layout, Run, Sequence},
    ops::{
        adapter::adapter,
        arg_max::arg_max,
        attention::Heads,
        linear::{Epilogue, linear},
        qkv::{Input, Projection, qkv},
    },
};
use fathom_testkit::inputs::Inputs;

use crate::{Card, survey};

/// Steps of 64 channels once around the longest ring, of eight, and a part of one: the last is where the first was, and where
/// mma's tiles leave their sums.
const CHANNELS: usize = 64 * 8 + 8;

fn products(card: Card, dtype: DType, rows: usize, columns: usize) {
    survey(card, &[], |device| {
        let mut inputs = Inputs::new(1);
        let x = Tensor::new(device, rows, CHANNELS, inputs.bell(rows * CHANNELS))?;
        let weights = inputs.bell(CHANNELS * columns);
        let weight = Weight::from_fn(device, dtype, CHANNELS, columns, |i, j| weights[i * columns + j])?;
        let mut halved = Tensor::empty(device);
        let mut stream = Tensor::new(device, rows, columns, inputs.bell(rows * columns))?;
        linear(&x, &weight, None, Epilogue::SwiGlu, &mut halved)?;
        linear(&x, &weight, None, Epilogue::Residual(Perturb::None), &mut stream)?;
        Ok([halved.to_vec()?, stream.to_vec()?].concat())
    });
}

#[test]
fn products_on_hopper() {
    for rows in [3, 17, 65] {
        products(Card::Hopper, DType::Bf16, rows, 70);
    }
}

#[test]
fn products_elsewhere() {
    for (dtype, rows) in [(DType::F32, 3), (DType::Bf16, 3), (DType::Bf16, 17), (DType::Bf16, 257)] {
        products(Card::Ampere, dtype, rows, 70);
    }
}

/// With one kernel on every card.
#[test]
fn adapters() {
    const COLUMNS: usize = 70;
    for (dtype, rows) in [(DType::F32, 3), (DType::Bf16, 3), (DType::Bf16, 17)] {
        survey(Card::Ampere, &[], |device| {
            let mut inputs = Inputs::new(3);
            let mut state = Tensor::new(device, rows, CHANNELS, inputs.bell(rows * CHANNELS))?;
            let injected = Tensor::new(device, rows, COLUMNS, inputs.bell(rows * COLUMNS))?;
            let weights = inputs.bell(CHANNELS * COLUMNS);
            let weight = Weight::from_fn(device, dtype, CHANNELS, COLUMNS, |i, j| weights[i * COLUMNS + j])?;
            let mut out = Tensor::empty(device);
            adapter(&mut state, &weight, &injected, Perturb::None, &mut out)?;
            out.to_vec()
        });
    }
}

/// Queries alone are looked at: keys and values are stored by the same lines.
#[test]
fn projections() {
    let heads = Heads { query: 5, kv: 1, dim: 10 };
    let columns = heads.fused_width();
    for (dtype, rows) in [(DType::F32, 3), (DType::Bf16, 3), (DType::Bf16, 17), (DType::Bf16, 257)] {
        for norm in [false, true] {
            survey(Card::Ampere, &[], |device| {
                let mut inputs = Inputs::new(4);
                let x = Tensor::new(device, rows, CHANNELS, inputs.bell(rows * CHANNELS))?;
                let scale = Tensor::vector(device, inputs.bell(CHANNELS))?;
                let weights = inputs.bell(CHANNELS * columns);
                let weight =
                    Weight::from_fn(device, dtype, CHANNELS, columns, |i, j| weights[i * columns + j])?;
                let (mut out, mut aside) = (Tensor::empty(device), Tensor::empty(device));
                let input = match norm {
                    true => Input::RmsNorm { x: &x, weight: &scale, eps: 1e-5, aside: &mut aside },
                    false => Input::Plain(&x),
                };
                let layout = Layout { width: heads.kv * heads.dim, dtype, slots: 1 };
                let mut sequence = Sequence::new(device, layout);
                let runs = &mut [Run::admit(&mut sequence, rows)];
                qkv(input, Projection { weight: &weight, bias: None, heads }, None, runs, &[0], &mut out)?;
                out.to_vec()
            });
        }
    }
}

/// More tiles of columns than a warp of the second kernel looks at; those of the last have the largest elements.
fn largest(card: Card, dtype: DType, rows: usize, tile: usize) {
    let columns = 34 * tile - 3;
    survey(card, &[], |device| {
        let mut inputs = Inputs::new(2);
        let x = Tensor::new(device, rows, CHANNELS, inputs.bell(rows * CHANNELS))?;
        let weights = inputs.bell(CHANNELS * columns);
        let weight = Weight::from_fn(device, dtype, CHANNELS, columns, |i, j| {
            weights[i * columns + j] * if j < 33 * tile { 1.0 } else { 4.0 }
        })?;
        let mut found = Tokens::empty(device);
        arg_max(&x, &weight, &mut found)?;
        Ok(found.to_vec()?.into_iter().map(|column| column as f32).collect())
    });
}

#[test]
fn largest_on_hopper() {
    for (rows, tile) in [(3, 64), (17, 64), (65, 128)] {
        largest(Card::Hopper, DType::Bf16, rows, tile);
    }
}

#[test]
fn largest_elsewhere() {
    for (dtype, rows, tile) in [(DType::F32, 30, 64), (DType::Bf16, 3, 32), (DType::Bf16, 17, 64)] {
        largest(Card::Ampere, dtype, rows, tile);
    }
}
