//! Kernels that work row by row.

use fathom::{
    Tensor,
    ops::{
        cosine::cosine,
        distance::distance,
        entropy::entropy,
        layer_norm::layer_norm,
        rms_norm::{double_norm, rms_norm},
    },
};
use fathom_testkit::inputs::Inputs;

use crate::{Card, survey};

const WIDTH: usize = 1111;

#[test]
fn layer_norms() {
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(1);
        let x = Tensor::new(device, 2, WIDTH, inputs.bell(2 * WIDTH))?;
        let weight = Tensor::vector(device, inputs.bell(WIDTH))?;
        let bias = Tensor::vector(device, inputs.bell(WIDTH))?;
        let mut out = Tensor::empty(device);
        layer_norm(&x, &weight, &bias, 1e-5, &mut out)?;
        out.to_vec()
    });
}

#[test]
fn rms_norms() {
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(2);
        let mut x = Tensor::new(device, 2, WIDTH, inputs.bell(2 * WIDTH))?;
        let first = Tensor::vector(device, inputs.bell(WIDTH))?;
        let second = Tensor::vector(device, inputs.bell(WIDTH))?;
        let (mut once, mut twice) = (Tensor::empty(device), Tensor::empty(device));
        rms_norm(&x, &first, 1e-5, &mut once)?;
        double_norm(&mut x, [&first, &second], 1e-5, &mut twice)?;
        Ok([once.to_vec()?, x.to_vec()?, twice.to_vec()?].concat())
    });
}

#[test]
fn distances_and_entropies() {
    survey(Card::Ampere, &[], |device| {
        let mut inputs = Inputs::new(3);
        let x = Tensor::new(device, 2, WIDTH, inputs.bell(2 * WIDTH))?;
        let y = Tensor::new(device, 2, WIDTH, inputs.bell(2 * WIDTH))?;
        let (mut apart, mut information) = (Tensor::empty(device), Tensor::empty(device));
        distance(&x, &y, &mut apart)?;
        entropy(&x, Some(&y), 0.1, &mut information)?;
        Ok([apart.to_vec()?, information.to_vec()?].concat())
    });
}

#[test]
fn cosines() {
    survey(Card::Ampere, &[], |device| {
        let x = Tensor::new(device, 18, 200, Inputs::new(4).bell(18 * 200))?;
        let mut out = Tensor::empty(device);
        cosine(&x, &mut out)?;
        out.to_vec()
    });
}
