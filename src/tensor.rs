//! Activations.

use std::{ops::Range, sync::Arc};

use half::bf16;
use rayon::prelude::*;
use smallvec::SmallVec;

use crate::{
    DType, Device, Result, cpu,
    error::check,
    gpu::{self, Buffer, Gpu, params},
};

/// Rows a task gathers at least: what a core copies while another wakes.
const GATHERED: usize = 128;

/// Activations `[rows, width]`, row-major f32. A row belongs to one token of one sequence.
///
/// A tensor that operations write to takes the shape of their result and keeps its memory, so that a pass that is
/// repeated allocates nothing; what a dropped tensor leaves is kept for the next. Clones of a tensor on a GPU share its memory
/// until one of them is written to.
#[derive(Debug)]
pub struct Tensor {
    device: Device,
    rows: usize,
    width: usize,
    memory: Memory,
}

#[derive(Debug)]
enum Memory {
    /// At least rows · width elements.
    Host(cpu::memory::Memory),
    Device {
        dtype: DType,
        /// At least rows · pitch elements, if there are any.
        buffer: Option<Arc<Buffer>>,
    },
}

impl Tensor {
    /// Takes `data` of `rows · width` elements to `device`.
    ///
    /// # Errors
    /// Another number of elements; no memory on the device.
    pub fn new(device: &Device, rows: usize, width: usize, data: Vec<f32>) -> Result<Self> {
        check("tensor", rows.checked_mul(width) == Some(data.len()), || {
            format!("{} elements for [{rows}, {width}]", data.len())
        })?;
        match device {
            Device::Cpu => Ok(Self { device: Device::Cpu, rows, width, memory: Memory::Host(data.into()) }),
            Device::Gpu(_) => {
                let mut tensor = Self::empty(device);
                tensor.set(rows, width, &data)?;
                Ok(tensor)
            }
        }
    }

    /// A vector as one row `[1, elements]`: norms and biases.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn vector(device: &Device, data: Vec<f32>) -> Result<Self> {
        Self::new(device, 1, data.len(), data)
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn zeros(device: &Device, rows: usize, width: usize) -> Result<Self> {
        match device {
            Device::Cpu => {
                let memory = Memory::Host(cpu::memory::Memory::zeros(rows * width));
                Ok(Self { device: Device::Cpu, rows, width, memory })
            }
            Device::Gpu(_) => {
                let mut tensor = Self::empty(device);
                tensor.reshape(rows, width)?;
                tensor.clear()?;
                Ok(tensor)
            }
        }
    }

    /// A tensor without rows, for an operation to write to.
    pub fn empty(device: &Device) -> Self {
        Self::operand(device, DType::F32)
    }

    /// As [`Tensor::empty`], for what only products with weights of `dtype` read: they round it to that type, and a GPU
    /// keeps it rounded. The CPU rounds as it multiplies.
    pub fn operand(device: &Device, dtype: DType) -> Self {
        let memory = match device {
            Device::Cpu => Memory::Host(cpu::memory::Memory::default()),
            Device::Gpu(_) => Memory::Device { dtype, buffer: None },
        };
        Self { device: device.clone(), rows: 0, width: 0, memory }
    }

    /// Rows in a GPU's memory that stay their owner's, one behind the other. Operations write to that memory or fail: what is
    /// too large for it, or written while a clone lives, is refused.
    ///
    /// # Errors
    /// A device without such memory; an address that is no multiple of 16 bytes, or a width that is none of 8.
    ///
    /// # Safety
    /// There are rows · width elements at `address`, for as long as the tensor or a clone of it lives, and nobody else's
    /// work on them is under way when operations on the tensor run.
    pub unsafe fn foreign(
        device: &Device,
        dtype: DType,
        rows: usize,
        width: usize,
        address: u64,
    ) -> Result<Self> {
        let Device::Gpu(gpu) = device else {
            return Err(crate::Error::Device {
                device: device.to_string(),
                what: "keeps no memory of others".into(),
            });
        };
        check("tensor", width.is_multiple_of(8) && address.is_multiple_of(16), || {
            format!("rows of {width} elements at {address:#x} do not begin at multiples of 16 bytes")
        })?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { Buffer::foreign(gpu, address, rows * width * dtype.bytes()) };
        let memory = Memory::Device { dtype, buffer: Some(Arc::new(buffer)) };
        Ok(Self { device: device.clone(), rows, width, memory })
    }

    /// Becomes `[rows, width]` with unspecified elements.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn reshape(&mut self, rows: usize, width: usize) -> Result<()> {
        match (&mut self.memory, &self.device) {
            (Memory::Device { dtype, buffer }, Device::Gpu(gpu)) => {
                let bytes = rows * gpu::pitch(width) * dtype.bytes();
                let enough = buffer.as_mut().and_then(Arc::get_mut).is_some_and(|kept| kept.bytes() >= bytes);
                if !enough {
                    stays(buffer.as_deref())?;
                    *buffer = Some(Arc::new(Buffer::new(gpu, bytes)?));
                }
            }
            (Memory::Host(data), _) => data.grow(rows * width),
            _ => {}
        }
        (self.rows, self.width) = (rows, width);
        Ok(())
    }

    /// Becomes `[rows, width]` with the elements of `data`.
    ///
    /// # Errors
    /// Another number of elements; no memory on the device.
    pub fn set(&mut self, rows: usize, width: usize, data: &[f32]) -> Result<()> {
        check("tensor", rows.checked_mul(width) == Some(data.len()), || {
            format!("{} elements for [{rows}, {width}]", data.len())
        })?;
        self.reshape(rows, width)?;
        match &mut self.memory {
            Memory::Host(kept) => kept[..data.len()].copy_from_slice(data),
            Memory::Device { dtype, buffer } => {
                let bytes = gpu::padded(*dtype, width, data);
                if let Some(buffer) = buffer.as_mut().and_then(Arc::get_mut) {
                    buffer.write(0, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// All elements become 0.
    ///
    /// # Errors
    /// A device that does not work.
    pub fn clear(&mut self) -> Result<()> {
        if let Memory::Host(data) = &mut self.memory {
            cpu::memory::clear(&mut data[..self.rows * self.width]);
        }
        if let Device::Gpu(gpu) = self.device.clone() {
            // Nothing of what it shares with a clone is kept.
            self.reshape(self.rows, self.width)?;
            let words = gpu::pitch(self.width) * self.dtype().bytes() / size_of::<u32>();
            // SAFETY: its rows, which are its own.
            unsafe { gpu::clear::clear(&gpu, self.device_rows().data, self.rows, words)? };
        }
        Ok(())
    }

    /// The device that holds it.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Channels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All elements, row-major, brought to the host.
    ///
    /// # Errors
    /// What went wrong on the device since the last wait.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match &self.memory {
            Memory::Host(_) => Ok(self.data().to_vec()),
            Memory::Device { dtype, buffer } => {
                let pitch = gpu::pitch(self.width);
                let mut bytes = vec![0; self.rows * pitch * dtype.bytes()];
                if let Some(buffer) = buffer {
                    buffer.read(0, &mut bytes)?;
                }
                let kept = |element: usize| element % pitch.max(1) < self.width;
                let elements: Vec<f32> = match dtype {
                    DType::F32 => bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect(),
                    DType::Bf16 => {
                        let halves = bytes.chunks_exact(2).map(bytemuck::pod_read_unaligned);
                        halves.map(|bits| bf16::from_bits(bits).to_f32()).collect()
                    }
                };
                Ok(elements.into_iter().enumerate().filter(|&(at, _)| kept(at)).map(|(_, x)| x).collect())
            }
        }
    }

    /// The elements of row `index`, brought to the host; panics past the end, as slices do.
    ///
    /// # Errors
    /// As [`Tensor::to_vec`].
    pub fn row_to_vec(&self, index: usize) -> Result<Vec<f32>> {
        assert!(index < self.rows, "row {index} of {}", self.rows);
        match self.device {
            Device::Cpu => Ok(self.row(index).to_vec()),
            Device::Gpu(_) => {
                let mut row = Self::operand(&self.device, self.dtype());
                row.gather(&[(self, index)])?;
                row.to_vec()
            }
        }
    }

    /// All elements, row-major, of a tensor on the CPU; panics for one on a GPU, whose elements [`Tensor::to_vec`] brings
    /// to the host.
    pub fn data(&self) -> &[f32] {
        match &self.memory {
            Memory::Host(data) => &data[..self.rows * self.width],
            Memory::Device { .. } => panic!("elements on {}, read as the host's", self.device),
        }
    }

    /// As [`Tensor::data`].
    pub fn data_mut(&mut self) -> &mut [f32] {
        match &mut self.memory {
            Memory::Host(data) => &mut data[..self.rows * self.width],
            Memory::Device { .. } => panic!("elements on {}, written as the host's", self.device),
        }
    }

    /// The elements of row `index` of a tensor on the CPU; panics past the end, as slices do.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.data()[index * self.width..(index + 1) * self.width]
    }

    /// Its rows, all of them, `times` over.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn repeat(&mut self, times: usize) -> Result<()> {
        if times == 1 {
            return Ok(());
        }
        match &self.memory {
            Memory::Host(_) => {
                let once = self.rows * self.width;
                self.reshape(self.rows * times, self.width)?;
                for copy in 1..times {
                    self.data_mut().copy_within(..once, copy * once);
                }
            }
            Memory::Device { .. } => {
                let rows: Vec<usize> = (0..times).flat_map(|_| 0..self.rows).collect();
                let mut repeated = self.unwritten();
                self.select(&rows, &mut repeated)?;
                *self = repeated;
            }
        }
        Ok(())
    }

    /// Writes the chosen rows to `out`, in the order given.
    ///
    /// # Errors
    /// As [`Tensor::gather`].
    pub fn select(&self, rows: &[usize], out: &mut Self) -> Result<()> {
        out.reshape(0, self.width)?;
        let rows: SmallVec<[(&Self, usize); 64]> = rows.iter().map(|&row| (self, row)).collect();
        out.gather(&rows)
    }

    /// Becomes the chosen rows of other tensors of one width, in the order given.
    ///
    /// # Errors
    /// A row past the end; another width, device or data type; no memory on the device.
    pub fn gather(&mut self, rows: &[(&Self, usize)]) -> Result<()> {
        let width = rows.first().map_or(self.width, |(first, _)| first.width);
        for &(from, row) in rows {
            check("gather", row < from.rows && from.width == width, || {
                format!("row {row} of [{}, {}] for a width of {width}", from.rows, from.width)
            })?;
            let alike = (&from.device, from.dtype()) == (&self.device, self.dtype());
            check("gather", alike, || format!("from {} to {}", from.device, self.device))?;
        }
        self.reshape(rows.len(), width)?;
        match self.device.clone() {
            Device::Cpu => {
                let places = self.data_mut().par_chunks_mut(width.max(1)).zip(rows).with_min_len(GATHERED);
                places.for_each(|(place, (from, row))| place.copy_from_slice(from.row(*row)));
                Ok(())
            }
            Device::Gpu(_) if rows.is_empty() => Ok(()),
            Device::Gpu(gpu) => gpu::gather::gather(&gpu, rows, self),
        }
    }

    /// Copies the rows of `other` to its own from row `first` on; panics past the end, as slices do.
    ///
    /// # Errors
    /// Another width, device or data type; no memory on the device.
    pub fn put(&mut self, first: usize, other: &Self) -> Result<()> {
        let alike = (&self.device, self.width, self.dtype()) == (&other.device, other.width, other.dtype());
        check("put", alike, || {
            format!("rows of {} on {} into {} on {}", other.width, other.device, self.width, self.device)
        })?;
        assert!(first + other.rows <= self.rows, "{} rows at {first} of {}", other.rows, self.rows);
        let pitch = gpu::pitch(self.width) * self.dtype().bytes();
        match (self.device.clone(), &other.memory) {
            (Device::Gpu(gpu), Memory::Device { buffer: Some(from), .. }) => {
                self.device_rows_mut(&gpu)?;
                if let Memory::Device { buffer, .. } = &mut self.memory
                    && let Some(buffer) = buffer.as_mut().and_then(Arc::get_mut)
                {
                    buffer.copy_from(from, [0, first * pitch], [pitch; 2], other.rows * pitch, 1)?;
                }
            }
            (Device::Cpu, _) => {
                let place = first * self.width..(first + other.rows) * self.width;
                self.data_mut()[place].copy_from_slice(other.data());
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes columns `columns` of its rows to `out`; panics past the end, as slices do.
    ///
    /// # Errors
    /// Another device or data type; no memory on the device.
    pub fn columns(&self, columns: Range<usize>, out: &mut Self) -> Result<()> {
        assert!(columns.start <= columns.end && columns.end <= self.width, "{columns:?} of {}", self.width);
        out.reshape(self.rows, columns.len())?;
        out.copy_columns(0, self, columns)
    }

    /// Copies the columns of `other`, of as many rows, to its own from column `first` on; panics past the end, as slices do.
    ///
    /// # Errors
    /// Another number of rows, device or data type; no memory on the device.
    pub fn put_columns(&mut self, first: usize, other: &Self) -> Result<()> {
        assert!(first + other.width <= self.width, "{} columns at {first} of {}", other.width, self.width);
        self.copy_columns(first, other, 0..other.width)
    }

    fn copy_columns(&mut self, first: usize, other: &Self, columns: Range<usize>) -> Result<()> {
        let alike = (&self.device, self.rows, self.dtype()) == (&other.device, other.rows, other.dtype());
        check("columns", alike, || {
            format!("of {} rows on {} in {} on {}", other.rows, other.device, self.rows, self.device)
        })?;
        match (self.device.clone(), &other.memory) {
            (Device::Gpu(gpu), Memory::Device { buffer: Some(from), .. }) => {
                self.device_rows_mut(&gpu)?;
                let (bytes, width) = (self.dtype().bytes(), self.width);
                if let Memory::Device { buffer, .. } = &mut self.memory
                    && let Some(buffer) = buffer.as_mut().and_then(Arc::get_mut)
                {
                    let pitches = [other.width, width].map(|width| gpu::pitch(width) * bytes);
                    let at = [columns.start * bytes, first * bytes];
                    buffer.copy_from(from, at, pitches, columns.len() * bytes, self.rows)?;
                }
            }
            (Device::Cpu, _) if self.width > 0 && other.width > 0 => {
                let place = first..first + columns.len();
                let rows = self.width;
                let rows = self.data_mut().chunks_mut(rows).zip(other.data().chunks(other.width));
                rows.for_each(|(row, other)| row[place.clone()].copy_from_slice(&other[columns.clone()]));
            }
            _ => {}
        }
        Ok(())
    }

    /// All rows, each a vector of its own on the host.
    ///
    /// # Errors
    /// As [`Tensor::to_vec`].
    pub fn to_rows(&self) -> Result<Vec<Vec<f32>>> {
        let elements = self.to_vec()?;
        Ok(elements.chunks(self.width.max(1)).map(<[f32]>::to_vec).collect())
    }

    /// The elements, for which `to_vec` may wait.
    ///
    /// # Errors
    /// As [`Tensor::to_vec`].
    pub fn into_data(self) -> Result<Vec<f32>> {
        let elements = self.rows * self.width;
        match self.memory {
            Memory::Host(data) => {
                let mut data = data.into_vec();
                data.truncate(elements);
                Ok(data)
            }
            Memory::Device { .. } => self.to_vec(),
        }
    }

    /// A tensor like this one, without memory.
    fn unwritten(&self) -> Self {
        Self::operand(&self.device, self.dtype())
    }

    /// How its elements are stored: f32, or on a GPU what products read.
    pub(crate) fn dtype(&self) -> DType {
        match &self.memory {
            Memory::Host(_) => DType::F32,
            Memory::Device { dtype, .. } => *dtype,
        }
    }

    /// Its rows as kernels read them that want `dtype`; of a tensor on a GPU.
    ///
    /// # Errors
    /// Rows of another type.
    pub(crate) fn rows_of(&self, operation: &'static str, dtype: DType) -> Result<params::Rows> {
        check(operation, self.dtype() == dtype, || format!("rows of {} for {dtype}", self.dtype()))?;
        Ok(self.device_rows())
    }

    /// Where its elements begin, as kernels read vectors: one row of f32; of a tensor on a GPU.
    ///
    /// # Errors
    /// More rows or fewer, or elements of another type.
    pub(crate) fn vector_address(&self, operation: &'static str) -> Result<u64> {
        check(operation, self.rows == 1, || format!("{} rows for a vector", self.rows))?;
        Ok(self.rows_of(operation, DType::F32)?.data)
    }

    /// Its rows as kernels read them; of a tensor on a GPU.
    pub(crate) fn device_rows(&self) -> params::Rows {
        match &self.memory {
            Memory::Host(_) => params::Rows::default(),
            Memory::Device { dtype, buffer } => params::Rows {
                data: buffer.as_ref().map_or(0, |buffer| buffer.address()),
                pitch: gpu::pitch(self.width) as u32,
                dtype: gpu::dtype(*dtype),
            },
        }
    }

    /// Where row `index` begins; of a tensor on a GPU.
    pub(crate) fn row_address(&self, index: usize) -> u64 {
        let rows = self.device_rows();
        rows.data + (index * rows.pitch as usize * self.dtype().bytes()) as u64
    }

    /// Its rows as kernels change them in place: no clone sees it.
    pub(crate) fn device_rows_mut(&mut self, gpu: &Gpu) -> Result<params::Rows> {
        if let Memory::Device { buffer: Some(buffer), .. } = &mut self.memory
            && Arc::get_mut(buffer).is_none()
        {
            stays(Some(buffer))?;
            let mut own = Buffer::new(gpu, buffer.bytes())?;
            own.copy_from(buffer, [0; 2], [0; 2], buffer.bytes(), 1)?;
            *buffer = Arc::new(own);
        }
        Ok(self.device_rows())
    }
}

/// Checks that memory may be replaced: its owner would not see what is written elsewhere.
fn stays(buffer: Option<&Buffer>) -> Result<()> {
    check("tensor", !buffer.is_some_and(Buffer::is_foreign), || {
        "memory of others is too small, or shared with a clone".into()
    })
}

impl Clone for Tensor {
    fn clone(&self) -> Self {
        let memory = match &self.memory {
            Memory::Host(_) => Memory::Host(cpu::memory::Memory::copy(self.data())),
            Memory::Device { dtype, buffer } => Memory::Device { dtype: *dtype, buffer: buffer.clone() },
        };
        Self { device: self.device.clone(), memory, ..*self }
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        (&self.device, self.rows, self.width) == (&other.device, other.rows, other.width)
            && matches!((self.to_vec(), other.to_vec()), (Ok(a), Ok(b)) if a == b)
    }
}
