//! Kernels that work row by row.

use fathom::{
    Tensor,
    ops::{
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
