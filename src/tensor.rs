//! Activations.

use crate::{Device, Result, error::check};

/// Activations `[rows, width]`, row-major f32. A row belongs to one token of one sequence.
///
/// A tensor that operations write to takes the shape of their result and keeps its memory, so that a pass that is
/// repeated allocates nothing.
#[derive(Debug, Clone)]
pub struct Tensor {
    device: Device,
    rows: usize,
    width: usize,
    /// At least `rows · width` elements.
    data: Vec<f32>,
}

impl Tensor {
    /// Takes `data` of `rows · width` elements.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn new(device: Device, rows: usize, width: usize, data: Vec<f32>) -> Result<Self> {
        check("tensor", rows.checked_mul(width) == Some(data.len()), || {
            format!("{} elements for [{rows}, {width}]", data.len())
        })?;
        Ok(Self { device, rows, width, data })
    }

    /// A tensor of zeros.
    pub fn zeros(device: Device, rows: usize, width: usize) -> Self {
        Self { device, rows, width, data: vec![0.0; rows * width] }
    }

    /// A tensor without rows, for an operation to write to.
    pub fn empty(device: Device) -> Self {
        Self::zeros(device, 0, 0)
    }

    /// Becomes `[rows, width]` with unspecified elements.
    pub fn reshape(&mut self, rows: usize, width: usize) {
        (self.rows, self.width) = (rows, width);
        if self.data.len() < rows * width {
            self.data.resize(rows * width, 0.0);
        }
    }

    /// Its rows, all of them, `times` over.
    pub fn repeat(&mut self, times: usize) {
        let once = self.rows * self.width;
        self.reshape(self.rows * times, self.width);
        for copy in 1..times {
            self.data.copy_within(..once, copy * once);
        }
    }

    /// The device that holds it.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Channels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All elements, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data[..self.rows * self.width]
    }

    /// All elements, row-major.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data[..self.rows * self.width]
    }

    /// The elements of row `index`; panics past the end, as slices do.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data()[index * self.width..(index + 1) * self.width]
    }

    /// Writes the chosen rows to `out`, in the order given.
    ///
    /// # Errors
    /// A row past the end.
    pub fn select(&self, rows: &[usize], out: &mut Self) -> Result<()> {
        out.reshape(rows.len(), self.width);
        for (place, &row) in rows.iter().enumerate() {
            check("select", row < self.rows, || format!("row {row} of {}", self.rows))?;
            out.data[place * self.width..(place + 1) * self.width].copy_from_slice(self.row(row));
        }
        Ok(())
    }

    /// Gives the elements back.
    pub fn into_data(mut self) -> Vec<f32> {
        self.data.truncate(self.rows * self.width);
        self.data
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        (self.device, self.rows, self.width) == (other.device, other.rows, other.width)
            && self.data() == other.data()
    }
}
