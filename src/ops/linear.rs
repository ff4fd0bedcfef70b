//! y = epilogue(x·W + b).

use super::{perturb, together};
use crate::{Device, Perturb, Result, Tensor, Weight, cpu, cpu::matrix::Matrix, error::check, gpu};

/// What becomes of the product while it is hot.
#[derive(Debug, Clone, Copy, Default)]
pub enum Epilogue<'a> {
    /// Nothing.
    #[default]
    None,
    /// GELU with tanh: ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
    GeluTanh,
    /// GELU with the error function: ½x(1 + erf(x/√2)).
    GeluErf,
    /// silu(even column)·odd column, halving the width; W interleaves gate and up. Takes no bias.
    SwiGlu,
    /// out + perturb(x·W + b): the branch is added to the stream `[rows, n]` that `out` holds.
    Residual(Perturb<'a>),
}

/// out = epilogue(x·W + b) for x `[rows, k]`, W `[k, n]` and bias `[1, n]`: `[rows, n]`, or `[rows, n/2]` for SwiGLU.
/// Where W is stored in bf16, x is rounded to it; sums are f32.
///
/// # Errors
/// Widths that do not fit; an empty weight; a stream of another shape; a perturbation of another number of rows; operands
/// on different devices.
pub fn linear(
    x: &Tensor,
    w: &Weight,
    bias: Option<&Tensor>,
    epilogue: Epilogue<'_>,
    out: &mut Tensor,
) -> Result<()> {
    fits(x, w, bias)?;
    together("linear", x.device(), &[out.device()])?;
    match epilogue {
        Epilogue::SwiGlu => {
            check("linear", bias.is_none() && w.n().is_multiple_of(2), || {
                "SwiGLU wants an even width and no bias".into()
            })?;
            out.reshape(x.rows(), w.n() / 2)?;
        }
        Epilogue::Residual(perturbation) => {
            let fits = (out.rows(), out.width()) == (x.rows(), w.n());
            check("linear", fits, || {
                format!("a stream [{}, {}] for [{}, {}]", out.rows(), out.width(), x.rows(), w.n())
            })?;
            perturb::fits(perturbation, out)?;
        }
        _ => out.reshape(x.rows(), w.n())?,
    }
    match x.device() {
        Device::Cpu => {
            cpu::linear::linear(x.data(), w, bias.map(Tensor::data), &epilogue, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::linear::linear(gpu, x, w, bias, epilogue, out),
    }
}

/// Whether a product of these can be.
pub(super) fn fits(x: &Tensor, w: &Weight, bias: Option<&Tensor>) -> Result<()> {
    check("linear", x.width() == w.k(), || {
        format!("rows of {} channels for a weight of {}", x.width(), w.k())
    })?;
    check("linear", w.k() > 0 && w.n() > 0, || format!("a weight [{}, {}]", w.k(), w.n()))?;
    if let Some(bias) = bias {
        check("linear", bias.rows() == 1 && bias.width() == w.n(), || {
            format!("bias of {} for {} columns", bias.width(), w.n())
        })?;
        together("linear", x.device(), &[bias.device()])?;
    }
    together("linear", x.device(), &[w.device()])
}

/// dw += dyᵀ·x for x `[rows, k]`, dy `[rows, n]` and dw `[n, k]`: the gradient of a linear's matrix, as checkpoints store it,
/// from that of its output. The input's gradient is [`linear`] of dy with the transpose of W.
///
/// # Errors
/// Numbers of rows that differ; a gradient of another shape; no channels; operands on different devices.
pub fn linear_backward_weight(x: &Tensor, dy: &Tensor, dw: &mut Tensor) -> Result<()> {
    const NAME: &str = "linear_backward_weight";
    check(NAME, x.rows() == dy.rows(), || format!("{} rows of x for {} of dy", x.rows(), dy.rows()))?;
    check(NAME, (dw.rows(), dw.width()) == (dy.width(), x.width()), || {
        format!("a gradient [{}, {}] for [{}, {}]", dw.rows(), dw.width(), dy.width(), x.width())
    })?;
    check(NAME, x.width() > 0 && dy.width() > 0, || format!("a weight [{}, {}]", x.width(), dy.width()))?;
    together(NAME, x.device(), &[dy.device(), dw.device()])?;
    match x.device() {
        Device::Cpu => {
            let of = |x| Matrix::new(Tensor::data(x), x.rows(), x.width());
            cpu::linear::linear_backward_weight(of(x), of(dy), dw.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::linear_backward::linear_backward_weight(gpu, x, dy, dw),
    }
}

/// db += the sum of dy's rows, for dy `[rows, n]` and db `[1, n]`: the gradient of a linear's bias.
///
/// # Errors
/// A gradient of another shape; no channels; operands on different devices.
pub fn linear_backward_bias(dy: &Tensor, db: &mut Tensor) -> Result<()> {
    const NAME: &str = "linear_backward_bias";
    check(NAME, (db.rows(), db.width()) == (1, dy.width()) && dy.width() > 0, || {
        format!("a gradient [{}, {}] for rows of {}", db.rows(), db.width(), dy.width())
    })?;
    together(NAME, dy.device(), &[db.device()])?;
    match dy.device() {
        Device::Cpu => {
            cpu::linear::linear_backward_bias(dy.data(), db.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::linear_backward::linear_backward_bias(gpu, dy, db),
    }
}
