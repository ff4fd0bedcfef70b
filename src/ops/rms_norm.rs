//! RMSNorm.

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// out = x/√(mean(x²) + ε)·w over the channels of each row; the weight is `[1, width]`.
///
/// # Errors
/// Widths that do not fit; operands on different devices.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f32, out: &mut Tensor) -> Result<()> {
    fits("rms_norm", x, &[weight])?;
    together("rms_norm", x.device(), &[weight.device(), out.device()])?;
    out.reshape(x.rows(), x.width())?;
    match x.device() {
        Device::Cpu => {
            cpu::norm::rms_norm(x.data(), weight.data(), eps, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::rms_norm::rms_norm(gpu, x, weight, eps, out),
    }
}

/// x ← norm(x): as [`rms_norm`], in place; `aside` is where the CPU writes it first.
///
/// # Errors
/// As [`rms_norm`].
pub fn rms_norm_in_place(x: &mut Tensor, weight: &Tensor, eps: f32, aside: &mut Tensor) -> Result<()> {
    match x.device().clone() {
        Device::Cpu => {
            rms_norm(x, weight, eps, aside)?;
            std::mem::swap(x, aside);
            Ok(())
        }
        Device::Gpu(gpu) => {
            fits("rms_norm", x, &[weight])?;
            together("rms_norm", x.device(), &[weight.device()])?;
            gpu::rms_norm::rms_norm_in_place(&gpu, x, weight, eps)
        }
    }
}

/// x ← norm(x) with the first weight, then out = norm(x) with the second: where one half of a sandwich block ends and the
/// next begins (spec huginn §1.4), in one pass.
///
/// # Errors
/// As [`rms_norm`].
pub fn double_norm(x: &mut Tensor, weights: [&Tensor; 2], eps: f32, out: &mut Tensor) -> Result<()> {
    fits("double_norm", x, &weights)?;
    together("double_norm", x.device(), &[weights[0].device(), weights[1].device(), out.device()])?;
    out.reshape(x.rows(), x.width())?;
    match x.device().clone() {
        Device::Cpu => {
            cpu::norm::rms_norm(x.data(), weights[0].data(), eps, out.data_mut());
            std::mem::swap(x, out);
            out.reshape(x.rows(), x.width())?;
            cpu::norm::rms_norm(x.data(), weights[1].data(), eps, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::rms_norm::double_norm(&gpu, x, weights, eps, out),
    }
}

/// The gradients of [`rms_norm`] from that of its output: sets dx `[rows, width]`, adds to that of the weight, `[1, width]`.
/// The rows' statistics are computed again from x.
///
/// # Errors
/// Shapes that do not fit; operands on different devices.
pub fn rms_norm_backward(
    x: &Tensor,
    weight: &Tensor,
    eps: f32,
    dy: &Tensor,
    dx: &mut Tensor,
    dweight: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "rms_norm_backward";
    fits(NAME, x, &[weight, dweight])?;
    check(NAME, (dy.rows(), dy.width()) == (x.rows(), x.width()), || {
        format!("a gradient [{}, {}] for [{}, {}]", dy.rows(), dy.width(), x.rows(), x.width())
    })?;
    together(NAME, x.device(), &[weight.device(), dy.device(), dx.device(), dweight.device()])?;
    dx.reshape(x.rows(), x.width())?;
    match x.device() {
        Device::Cpu => {
            let (dx, dweight) = (dx.data_mut(), dweight.data_mut());
            cpu::norm::rms_norm_backward(x.data(), weight.data(), eps, dy.data(), dx, dweight);
            Ok(())
        }
        Device::Gpu(gpu) => {
            let inputs = gpu::norm_backward::Inputs { x, weight, eps, dy };
            gpu::norm_backward::rms_norm_backward(gpu, inputs, dx, dweight)
        }
    }
}

fn fits(operation: &'static str, x: &Tensor, weights: &[&Tensor]) -> Result<()> {
    let vectors = weights.iter().all(|weight| weight.rows() == 1 && weight.width() == x.width());
    check(operation, vectors && x.width() > 0, || {
        format!(
            "{} channels, weights of {:?}",
            x.width(),
            weights.iter().map(|w| w.width()).collect::<Vec<_>>()
        )
    })
}
