//! Weights that are rows of tensors: they change at every step of an optimizer.

use super::{Memory, PANEL, Weight};
use crate::{
    DType, Device, Result, Tensor,
    cpu::matrix::Matrix,
    gpu::{self, Buffer, Gpu, params},
    lines::Lines,
    ops::together,
};

impl Weight {
    /// The matrix `[rows, width]` that the tensor is, in f32: k of its rows, n of its width.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn of_rows(rows: &Tensor) -> Result<Self> {
        let mut weight = Self::nothing_on(rows.device())?;
        weight.assign_rows(rows)?;
        Ok(weight)
    }

    /// The transpose `[width, rows]` of the matrix that the tensor is, in f32: checkpoints store a linear's matrix as
    /// `[n, k]`.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn of_columns(rows: &Tensor) -> Result<Self> {
        let mut weight = Self::nothing_on(rows.device())?;
        weight.assign_columns(rows)?;
        Ok(weight)
    }

    /// Becomes what [`Weight::of_rows`] makes, in the memory that it has where that is enough.
    ///
    /// # Errors
    /// Operands on different devices; no memory on the device.
    pub fn assign_rows(&mut self, rows: &Tensor) -> Result<()> {
        together("weight", &self.device, &[rows.device()])?;
        match rows.device() {
            Device::Cpu => {
                self.hold_rows(elements(rows));
                Ok(())
            }
            Device::Gpu(gpu) => {
                let out = self.columns_for(gpu, rows.rows(), rows.width())?;
                // SAFETY: columns for these rows.
                unsafe { gpu::weight::of_rows(gpu, rows, out) }
            }
        }
    }

    /// Becomes what [`Weight::of_columns`] makes, in the memory that it has where that is enough.
    ///
    /// # Errors
    /// Operands on different devices; no memory on the device.
    pub fn assign_columns(&mut self, rows: &Tensor) -> Result<()> {
        together("weight", &self.device, &[rows.device()])?;
        match rows.device() {
            Device::Cpu => {
                self.hold_columns(elements(rows));
                Ok(())
            }
            Device::Gpu(gpu) => {
                let out = self.columns_for(gpu, rows.width(), rows.rows())?;
                // SAFETY: a column for each of these rows.
                unsafe { gpu::weight::of_columns(gpu, rows, out) }
            }
        }
    }

    fn nothing_on(device: &Device) -> Result<Self> {
        let memory = match device {
            Device::Cpu => return Ok(Self::empty()),
            Device::Gpu(gpu) => Memory::Columns(Buffer::new(gpu, 0)?),
        };
        Ok(Self { device: device.clone(), dtype: DType::F32, k: 0, n: 0, memory })
    }

    /// A weight without elements, on the CPU.
    pub(crate) fn empty() -> Self {
        let memory = Memory::Panels(Lines::default());
        Self { device: Device::Cpu, dtype: DType::F32, k: 0, n: 0, memory }
    }

    /// Becomes the matrix that `rows` are, on the CPU.
    pub(crate) fn hold_rows(&mut self, rows: Matrix<'_>) {
        rows.pack_all_rows(self.panels_for(rows.rows(), rows.columns()));
    }

    fn hold_columns(&mut self, rows: Matrix<'_>) {
        rows.pack_all_columns(self.panels_for(rows.columns(), rows.rows()));
    }

    /// Becomes `[k, n]` in f32 on a GPU; its columns, whose elements are yet to be written.
    fn columns_for(&mut self, gpu: &Gpu, k: usize, n: usize) -> Result<params::Rows> {
        (self.dtype, self.k, self.n) = (DType::F32, k, n);
        let bytes = n * gpu::pitch(k) * DType::F32.bytes();
        if self.bytes() < bytes {
            self.memory = Memory::Columns(Buffer::new(gpu, bytes)?);
        }
        Ok(self.device_columns())
    }

    /// Becomes `[k, n]` in f32; its panels, whose elements are yet to be written.
    fn panels_for(&mut self, k: usize, n: usize) -> &mut [f32] {
        (self.dtype, self.k, self.n) = (DType::F32, k, n);
        let words = self.panels() * k * PANEL;
        match &mut self.memory {
            Memory::Panels(panels) => {
                if panels.len() < words {
                    *panels = Lines::zeros(words);
                }
                bytemuck::cast_slice_mut(&mut panels[..words])
            }
            Memory::Columns(_) => panic!("a weight on {}, written as the host's", self.device),
        }
    }
}

fn elements(rows: &Tensor) -> Matrix<'_> {
    Matrix::new(rows.data(), rows.rows(), rows.width())
}
