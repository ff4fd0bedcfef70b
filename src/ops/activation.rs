//! Activations of the MLPs by themselves: what a product's epilogue does not keep, its gradient needs.

use super::{
    linear::{self, Epilogue, linear},
    together,
};
use crate::{Device, Result, Tensor, Weight, cpu, error::check, gpu};

/// What becomes of an MLP's inner channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
    GeluTanh,
    /// ½x(1 + erf(x/√2)).
    GeluErf,
    /// silu(even channel)·odd channel: gate and up are interleaved, and the width is halved.
    SwiGlu,
}

impl Activation {
    /// Channels in for each channel out.
    pub fn inputs(self) -> usize {
        match self {
            Activation::GeluTanh | Activation::GeluErf => 1,
            Activation::SwiGlu => 2,
        }
    }
}

/// Sets out = f(x) for x `[rows, width]`: `[rows, width]`, or `[rows, width/2]` for SwiGLU. The same bits as in the
/// epilogues of [`super::linear`].
///
/// # Errors
/// An odd width for SwiGLU; no channels; operands on different devices.
pub fn activation(kind: Activation, x: &Tensor, out: &mut Tensor) -> Result<()> {
    let width = x.width() / kind.inputs();
    check("activation", width > 0 && x.width().is_multiple_of(kind.inputs()), || {
        format!("{kind:?} of {} channels", x.width())
    })?;
    together("activation", x.device(), &[out.device()])?;
    out.reshape(x.rows(), width)?;
    match x.device() {
        Device::Cpu => {
            cpu::activation::activation(kind, x.data(), out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::activation::activation(gpu, kind, x, out),
    }
}

/// Sets dx = f'(x)·dy, of x's shape, for x as in [`activation`] and dy of its result's shape.
///
/// # Errors
/// As [`activation`]; a gradient of another shape.
pub fn activation_backward(kind: Activation, x: &Tensor, dy: &Tensor, dx: &mut Tensor) -> Result<()> {
    const NAME: &str = "activation_backward";
    let fits = x.width() > 0 && (x.rows(), x.width()) == (dy.rows(), dy.width() * kind.inputs());
    check(NAME, fits, || {
        format!("{kind:?} of [{}, {}], a gradient [{}, {}]", x.rows(), x.width(), dy.rows(), dy.width())
    })?;
    together(NAME, x.device(), &[dy.device(), dx.device()])?;
    dx.reshape(x.rows(), x.width())?;
    match x.device() {
        Device::Cpu => {
            cpu::activation::activation_backward(kind, x.data(), dy.data(), dx.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::activation::activation_backward(gpu, kind, x, dy, dx),
    }
}

/// Sets up = x·W + b and out = f(up): [`linear()`] and [`activation`] in one pass where that is faster, as the gradient needs
/// both. The same bits.
///
/// # Errors
/// As those two.
pub fn linear_activation(
    x: &Tensor,
    w: &Weight,
    bias: Option<&Tensor>,
    kind: Activation,
    up: &mut Tensor,
    out: &mut Tensor,
) -> Result<()> {
    if let Device::Gpu(_) = x.device() {
        linear(x, w, bias, Epilogue::None, up)?;
        return activation(kind, up, out);
    }
    linear::fits(x, w, bias)?;
    together("linear_activation", x.device(), &[up.device(), out.device()])?;
    check("linear_activation", w.n().is_multiple_of(kind.inputs()), || {
        format!("{kind:?} of {} channels", w.n())
    })?;
    up.reshape(x.rows(), w.n())?;
    out.reshape(x.rows(), w.n() / kind.inputs())?;
    let bias = bias.map(Tensor::data);
    cpu::linear::linear_activation(x.data(), w, bias, kind, up.data_mut(), out.data_mut());
    Ok(())
}

/// Sets dup = f'(up)·(dy·W): [`linear()`] and [`activation_backward`] in one pass where that is faster. The same bits.
///
/// # Errors
/// As those two.
pub fn linear_activation_backward(
    dy: &Tensor,
    w: &Weight,
    kind: Activation,
    up: &Tensor,
    dup: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "linear_activation_backward";
    if let Device::Gpu(_) = dy.device() {
        let mut dhidden = Tensor::empty(dy.device());
        linear(dy, w, None, Epilogue::None, &mut dhidden)?;
        return activation_backward(kind, up, &dhidden, dup);
    }
    linear::fits(dy, w, None)?;
    check(NAME, (up.rows(), up.width()) == (dy.rows(), w.n() * kind.inputs()), || {
        format!("{kind:?} of [{}, {}], a gradient [{}, {}]", up.rows(), up.width(), dy.rows(), w.n())
    })?;
    together(NAME, dy.device(), &[up.device(), dup.device()])?;
    dup.reshape(up.rows(), up.width())?;
    cpu::linear::linear_activation_backward(dy.data(), w, kind, up.data(), dup.data_mut());
    Ok(())
}
