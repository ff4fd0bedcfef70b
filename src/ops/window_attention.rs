//! Attention whose keys and values are rows of tensors: what training runs, where nothing is kept for a next step.

use super::{
    attention::{Heads, MAX_DIM},
    together,
};
use crate::{Device, Result, Tensor, cpu, cpu::matrix::Matrix, error::check, gpu};

/// Which rows of keys and values a row of queries sees: `first` to `first + visible`.
///
/// Neighbouring rows of one `first` go together: a sequence's, whose keys and values are then read once for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first of them.
    pub first: usize,
    /// Their number.
    pub visible: usize,
}

/// Sets out = softmax(q·kᵀ/√d)·v over each row's window: q and out `[rows, query heads · d]`, k and v
/// `[positions, kv heads · d]`, a window a row of q.
///
/// # Errors
/// Shapes that do not fit; heads that do not divide or are wider than [`MAX_DIM`]; a window that is empty or ends past the
/// last position; operands on different devices; on a GPU heads wider than 256.
pub fn window_attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: Heads,
    windows: &[Window],
    out: &mut Tensor,
) -> Result<()> {
    const NAME: &str = "window_attention";
    fits(NAME, q, [k, v], heads, windows)?;
    together(NAME, q.device(), &[out.device()])?;
    out.reshape(q.rows(), q.width())?;
    match q.device() {
        Device::Cpu => {
            let [q, k, v] = [q, k, v].map(matrix);
            cpu::window_attention::window_attention(q, [k, v], heads, windows, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::window_attention::window_attention(gpu, q, k, v, heads, windows, out),
    }
}

/// What [`window_attention_backward`] writes.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Set, of q's shape.
    pub dq: &'a mut Tensor,
    /// Added to, of k's shape.
    pub dk: &'a mut Tensor,
    /// Added to, of v's shape.
    pub dv: &'a mut Tensor,
}

/// The gradients of [`window_attention`] from its operands, its output and that's gradient `dout`; probabilities are computed
/// again.
///
/// # Errors
/// As [`window_attention`]; an output or a gradient of another shape.
pub fn window_attention_backward(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    [out, dout]: [&Tensor; 2],
    heads: Heads,
    windows: &[Window],
    gradients: Gradients<'_>,
) -> Result<()> {
    const NAME: &str = "window_attention_backward";
    let Gradients { dq, dk, dv } = gradients;
    fits(NAME, q, [k, v], heads, windows)?;
    let shape = |x: &Tensor| [x.rows(), x.width()];
    for (given, wanted) in [(out, q), (dout, q), (&*dk, k), (&*dv, v)] {
        check(NAME, shape(given) == shape(wanted), || format!("{:?} for {:?}", shape(given), shape(wanted)))?;
    }
    together(NAME, q.device(), &[out.device(), dout.device(), dq.device(), dk.device(), dv.device()])?;
    dq.reshape(q.rows(), q.width())?;
    match q.device() {
        Device::Cpu => {
            let [q, k, v, out, dout] = [q, k, v, out, dout].map(matrix);
            let inputs = cpu::window_attention::Inputs { q, k, v, out, dout };
            let gradients = [dq, dk, dv].map(Tensor::data_mut);
            cpu::window_attention::window_attention_backward(inputs, heads, windows, gradients);
            Ok(())
        }
        Device::Gpu(gpu) => {
            let inputs = gpu::window_attention::Inputs { q, k, v, out, dout };
            let gradients = Gradients { dq, dk, dv };
            gpu::window_attention::window_attention_backward(gpu, inputs, heads, windows, gradients)
        }
    }
}

fn matrix(x: &Tensor) -> Matrix<'_> {
    Matrix::new(x.data(), x.rows(), x.width())
}

fn fits(name: &'static str, q: &Tensor, kv: [&Tensor; 2], heads: Heads, windows: &[Window]) -> Result<()> {
    let divides = heads.kv > 0 && heads.query > 0 && heads.query.is_multiple_of(heads.kv);
    check(name, divides && (1..=MAX_DIM).contains(&heads.dim), || format!("{heads:?}"))?;
    let [k, v] = kv;
    let widths = [q, k, v].map(Tensor::width) == [heads.query, heads.kv, heads.kv].map(|n| n * heads.dim);
    check(name, widths && k.rows() == v.rows() && q.rows() == windows.len(), || {
        let shapes = [q, k, v].map(|x| [x.rows(), x.width()]);
        format!("queries, keys and values {shapes:?} for {} windows of {heads:?}", windows.len())
    })?;
    for (row, &Window { first, visible }) in windows.iter().enumerate() {
        let inside = first.checked_add(visible).is_some_and(|end| end <= k.rows());
        check(name, visible > 0 && inside, || {
            format!("row {row} sees {visible} positions from {first} of {}", k.rows())
        })?;
    }
    together(name, q.device(), &[k.device(), v.device()])
}
