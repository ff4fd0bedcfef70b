//! From a checkpoint's tensors to packed weights.

use fathom::{DType, Device, Tensor, Weight};

use crate::{
    checkpoint::{Checkpoint, TensorView},
    error::Result,
};

/// A checkpoint on its way to a device. What it reads counts as used; [`Checkpoint::finish`] sees the rest.
pub(crate) struct Loader<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    pub(crate) device: Device,
    pub(crate) dtype: DType,
}

impl Loader<'_> {
    /// A vector, kept in f32: norms and biases.
    pub(crate) fn vector(&self, name: &str, n: usize) -> Result<Tensor> {
        self.hold(self.checkpoint.take(name, &[n])?.to_vec())
    }

    /// A vector on the device.
    pub(crate) fn hold(&self, vector: Vec<f32>) -> Result<Tensor> {
        Ok(Tensor::vector(&self.device, vector)?)
    }

    /// A linear layer stored `[k, n]`, as GPT-2's Conv1D.
    pub(crate) fn conv1d(&self, name: &str, k: usize, n: usize) -> Result<Weight> {
        let view = self.checkpoint.take(name, &[k, n])?;
        self.pack(k, n, |row, column| view.get(row * n + column))
    }

    /// A linear layer stored `[n, k]`, as PyTorch's Linear; embeddings `[vocabulary, h]` become heads the same way.
    pub(crate) fn linear(&self, name: &str, k: usize, n: usize) -> Result<Weight> {
        let view = self.checkpoint.take(name, &[n, k])?;
        self.transposed(&view, k, n)
    }

    /// A view stored `[n, k]` as a weight `[k, n]`.
    pub(crate) fn transposed(&self, view: &TensorView<'_>, k: usize, n: usize) -> Result<Weight> {
        self.pack(k, n, |row, column| view.get(column * k + row))
    }

    /// Linear layers of the same input side by side: names with their numbers of columns.
    pub(crate) fn side_by_side(&self, parts: &[(&str, usize)], k: usize) -> Result<Weight> {
        let mut views = Vec::with_capacity(parts.len());
        for (name, n) in parts {
            views.push((self.checkpoint.take(name, &[*n, k])?, *n));
        }
        let element = |row: usize, column: usize| {
            let mut column = column;
            for (view, n) in &views {
                if column < *n {
                    return view.get(column * k + row);
                }
                column -= n;
            }
            0.0
        };
        self.pack(k, parts.iter().map(|(_, n)| n).sum(), element)
    }

    /// Gate and up of a gated MLP, their columns interleaved for the SwiGLU epilogue.
    pub(crate) fn gate_up(&self, gate: &str, up: &str, k: usize, inner: usize) -> Result<Weight> {
        let (gate, up) = (self.checkpoint.take(gate, &[inner, k])?, self.checkpoint.take(up, &[inner, k])?);
        let element = |row, column: usize| {
            let view = if column.is_multiple_of(2) { &gate } else { &up };
            view.get(column / 2 * k + row)
        };
        self.pack(k, 2 * inner, element)
    }

    /// Gate and up stored as the two halves of one tensor `[2 · inner, k]` (spec huginn §1.6), interleaved.
    pub(crate) fn gate_up_halves(&self, name: &str, k: usize, inner: usize) -> Result<Weight> {
        let view = self.checkpoint.take(name, &[2 * inner, k])?;
        self.pack(k, 2 * inner, |row, column| view.get((column % 2 * inner + column / 2) * k + row))
    }

    pub(crate) fn pack(
        &self,
        k: usize,
        n: usize,
        element: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Result<Weight> {
        Ok(Weight::from_fn(&self.device, self.dtype, k, n, element)?)
    }
}
