//! Weights that are rows of tensors: they change at every step of an optimizer.

use super::{Memory, PANEL, Weight};
use crate::{
    DType, Device, Result, Tensor,
    cpu::matrix::Matrix,
    ops::{missing, together},
};

impl Weight {
    /// The matrix `[rows, width]` that the tensor is, in f32: k of its rows, n of its width.
    ///
    /// # Errors
    /// A device other than the CPU.
    pub fn of_rows(rows: &Tensor) -> Result<Self> {
        let mut weight = Self::empty();
        weight.hold_rows(elements(rows)?);
        Ok(weight)
    }

    /// The transpose `[width, rows]` of the matrix that the tensor is, in f32: checkpoints store a linear's matrix as
    /// `[n, k]`.
    ///
    /// # Errors
    /// A device other than the CPU.
    pub fn of_columns(rows: &Tensor) -> Result<Self> {
        let mut weight = Self::empty();
        weight.hold_columns(elements(rows)?);
        Ok(weight)
    }

    /// Becomes what [`Weight::of_rows`] makes, in the memory that it has where that is enough.
    ///
    /// # Errors
    /// Operands on different devices; a device other than the CPU.
    pub fn assign_rows(&mut self, rows: &Tensor) -> Result<()> {
        together("weight", &self.device, &[rows.device()])?;
        self.hold_rows(elements(rows)?);
        Ok(())
    }

    /// Becomes what [`Weight::of_columns`] makes, in the memory that it has where that is enough.
    ///
    /// # Errors
    /// Operands on different devices; a device other than the CPU.
    pub fn assign_columns(&mut self, rows: &Tensor) -> Result<()> {
        together("weight", &self.device, &[rows.device()])?;
        self.hold_columns(elements(rows)?);
        Ok(())
    }

    /// A weight without elements, on the CPU.
    pub(crate) fn empty() -> Self {
        let memory = Memory::Panels(Vec::new());
        Self { device: Device::Cpu, dtype: DType::F32, k: 0, n: 0, memory }
    }

    /// Becomes the matrix that `rows` are, on the CPU.
    pub(crate) fn hold_rows(&mut self, rows: Matrix<'_>) {
        rows.pack_all_rows(self.panels_for(rows.rows(), rows.columns()));
    }

    fn hold_columns(&mut self, rows: Matrix<'_>) {
        rows.pack_all_columns(self.panels_for(rows.columns(), rows.rows()));
    }

    /// Becomes `[k, n]` in f32; its panels, whose elements are yet to be written.
    fn panels_for(&mut self, k: usize, n: usize) -> &mut [f32] {
        (self.dtype, self.k, self.n) = (DType::F32, k, n);
        let words = self.panels() * k * PANEL;
        match &mut self.memory {
            Memory::Panels(panels) => {
                if panels.len() < words {
                    panels.resize(words, 0);
                }
                bytemuck::cast_slice_mut(&mut panels[..words])
            }
            Memory::Columns(_) => panic!("a weight on {}, written as the host's", self.device),
        }
    }
}

fn elements(rows: &Tensor) -> Result<Matrix<'_>> {
    match rows.device() {
        Device::Cpu => Ok(Matrix::new(rows.data(), rows.rows(), rows.width())),
        Device::Gpu(gpu) => missing("weight of rows", gpu),
    }
}
