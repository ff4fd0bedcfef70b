//! Kernels of training. Products of rows, softmaxes over tiles, and folds over blocks, with what goes around every loop twice.

use fathom::{
    Tensor, Weight,
    ops::{
        adam::{EllisAdam, Moments, Step, ellis_adam},
        attention::Heads,
        cross_entropy::cross_entropy,
        layer_norm::layer_norm_backward,
        linear::{Epilogue, linear, linear_backward_weight},
        rms_norm::rms_norm_backward,
        square_sum::square_sum,
        window_attention::{Gradients, Window, window_attention, window_attention_backward},
    },
};
use fathom_testkit::inputs::Inputs;

use crate::{Card, survey};

#[test]
fn linears() {
    const ROWS: usize = 35;
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(1);
        let x = Tensor::new(device, ROWS, 66, inputs.bell(ROWS * 66))?;
        let dy = Tensor::new(device, ROWS, 70, inputs.bell(ROWS * 70))?;
        let mut dw = Tensor::zeros(device, 70, 66)?;
        linear_backward_weight(&x, &dy, &mut dw)?;
        dw.to_vec()
    });
}

/// With the product that reads it.
#[test]
fn weights_of_rows() {
    const CHANNELS: usize = 64 * 2 + 8;
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(2);
        let weight = Weight::of_rows(&Tensor::new(device, CHANNELS, 70, inputs.bell(CHANNELS * 70))?)?;
        let x = Tensor::new(device, 3, CHANNELS, inputs.bell(3 * CHANNELS))?;
        let mut out = Tensor::empty(device);
        linear(&x, &weight, None, Epilogue::None, &mut out)?;
        out.to_vec()
    });
}

#[test]
fn norms() {
    const ROWS: usize = 18;
    const WIDTH: usize = 610;
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(3);
        let x = Tensor::new(device, ROWS, WIDTH, inputs.bell(ROWS * WIDTH))?;
        let dy = Tensor::new(device, ROWS, WIDTH, inputs.bell(ROWS * WIDTH))?;
        let weight = Tensor::vector(device, inputs.bell(WIDTH))?;
        let [mut layer, mut rms] = [Tensor::empty(device), Tensor::empty(device)];
        let mut vectors = [0; 3].map(|_| Tensor::vector(device, vec![0.0; WIDTH]));
        let [Ok(a), Ok(b), Ok(c)] = &mut vectors else { return Ok(Vec::new()) };
        layer_norm_backward(&x, &weight, 1e-5, &dy, &mut layer, a, b)?;
        rms_norm_backward(&x, &weight, 1e-5, &dy, &mut rms, c)?;
        Ok([layer.to_vec()?, rms.to_vec()?, a.to_vec()?, b.to_vec()?, c.to_vec()?].concat())
    });
}

#[test]
fn losses_and_sums() {
    const WIDTH: usize = 610;
    const RULE: EllisAdam =
        EllisAdam { lr: 1e-2, peak: 1e-2, betas: [0.9, 0.95], eps: 1e-6, weight_decay: 0.0 };
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(4);
        let mut x = Tensor::new(device, 2, WIDTH, inputs.bell(2 * WIDTH))?;
        let losses = cross_entropy(&mut x, &[Some(3), Some(600)], 0.5)?;
        let tall = Tensor::new(device, 40, 520, inputs.bell(40 * 520))?;
        let squares = square_sum(&tall)?;
        let (mut parameter, mut moments) = (tall.clone(), Moments::of(&tall)?);
        ellis_adam(&mut parameter, &tall, &mut moments, RULE, Step { t: 1, factor: 1.0 })?;
        let halves = [(squares.to_bits() >> 32) as u32, squares.to_bits() as u32].map(f32::from_bits);
        Ok([losses, x.to_vec()?, halves.to_vec(), parameter.to_vec()?].concat())
    });
}

#[test]
fn windows() {
    let heads = Heads { query: 2, kv: 1, dim: 10 };
    let windows: Vec<Window> = (0..70).map(|row| Window { first: 0, visible: row + 1 }).collect();
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(5);
        let mut rows = |width| Tensor::new(device, 70, width, inputs.bell(70 * width));
        let (q, dout, k, v) = (rows(20)?, rows(20)?, rows(10)?, rows(10)?);
        let [mut out, mut dq] = [Tensor::empty(device), Tensor::empty(device)];
        let (mut dk, mut dv) = (Tensor::zeros(device, 70, 10)?, Tensor::zeros(device, 70, 10)?);
        window_attention(&q, &k, &v, heads, &windows, &mut out)?;
        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        window_attention_backward(&q, &k, &v, [&out, &dout], heads, &windows, gradients)?;
        Ok([out.to_vec()?, dq.to_vec()?, dk.to_vec()?, dv.to_vec()?].concat())
    });
}
