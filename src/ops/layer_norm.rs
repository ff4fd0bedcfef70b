//! LayerNorm.

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// out = (x − mean)/√(var + ε)·w + b over the channels of each row; weight and bias are `[1, width]`.
///
/// # Errors
/// Widths that do not fit; operands on different devices.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32, out: &mut Tensor) -> Result<()> {
    let vectors = [weight, bias].iter().all(|vector| vector.rows() == 1 && vector.width() == x.width());
    check("layer_norm", vectors && x.width() > 0, || {
        format!("{} channels, {} weights, {} biases", x.width(), weight.width(), bias.width())
    })?;
    together("layer_norm", x.device(), &[weight.device(), bias.device(), out.device()])?;
    out.reshape(x.rows(), x.width())?;
    match x.device() {
        Device::Cpu => {
            cpu::norm::layer_norm(x.data(), weight.data(), bias.data(), eps, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::layer_norm::layer_norm(gpu, x, weight, bias, eps, out),
    }
}

/// The gradients of [`layer_norm`] from that of its output: sets dx `[rows, width]`, adds to those of weight and bias,
/// `[1, width]` each. The rows' statistics are computed again from x.
///
/// # Errors
/// Shapes that do not fit; operands on different devices.
pub fn layer_norm_backward(
    x: &Tensor,
    weight: &Tensor,
    eps: f32,
    dy: &Tensor,
    dx: &mut Tensor,
    dweight: &mut Tensor,
    dbias: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "layer_norm_backward";
    let vectors = [weight, dweight, dbias].map(|vector| (vector.rows(), vector.width()));
    let fits = vectors.iter().all(|&vector| vector == (1, x.width())) && x.width() > 0;
    check(NAME, fits && (dy.rows(), dy.width()) == (x.rows(), x.width()), || {
        let of = [x.rows(), x.width(), dy.rows(), dy.width()];
        format!("[{}, {}], a gradient [{}, {}], vectors {vectors:?}", of[0], of[1], of[2], of[3])
    })?;
    let others = [weight.device(), dy.device(), dx.device(), dweight.device(), dbias.device()];
    together(NAME, x.device(), &others)?;
    dx.reshape(x.rows(), x.width())?;
    match x.device() {
        Device::Cpu => {
            let (dx, dweight, dbias) = (dx.data_mut(), dweight.data_mut(), dbias.data_mut());
            cpu::norm::layer_norm_backward(x.data(), weight.data(), eps, dy.data(), dx, dweight, dbias);
            Ok(())
        }
        Device::Gpu(gpu) => {
            let inputs = gpu::norm_backward::Inputs { x, weight, eps, dy };
            gpu::norm_backward::layer_norm_backward(gpu, inputs, dx, [dweight, dbias])
        }
    }
}
