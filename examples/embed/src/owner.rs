//! Memory of this program that operations work on.

use fathom::{DType, Device, Error, Tensor};

/// Keeps rows, and lends them to operations.
pub trait Owner {
    /// Where operations run.
    fn device(&self) -> Device;

    /// `elements` as rows `[rows, width]` in memory of the owner's.
    fn lend(&mut self, rows: usize, width: usize, elements: Vec<f32>) -> Result<Tensor, Error>;

    /// Ends the loan of `rows`, the newest one, and returns what they hold now.
    fn end(&mut self, rows: Tensor) -> Result<Vec<f32>, Error>;
}

/// On the CPU a tensor takes over a vector and gives it back, without a copy.
pub struct Host;

impl Owner for Host {
    fn device(&self) -> Device {
        Device::Cpu
    }

    fn lend(&mut self, rows: usize, width: usize, elements: Vec<f32>) -> Result<Tensor, Error> {
        Tensor::new(&Device::Cpu, rows, width, elements)
    }

    fn end(&mut self, rows: Tensor) -> Result<Vec<f32>, Error> {
        rows.into_data()
    }
}

/// Lends addresses to an emulated GPU, whose memory is the host's.
pub struct Lent {
    device: Device,
    buffers: Vec<Vec<Lane>>,
}

/// Rows begin at multiples of 16 bytes.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Lane([f32; 4]);

impl Lent {
    pub fn new(device: Device) -> Self {
        Self { device, buffers: Vec::new() }
    }
}

impl Owner for Lent {
    fn device(&self) -> Device {
        self.device.clone()
    }

    fn lend(&mut self, rows: usize, width: usize, elements: Vec<f32>) -> Result<Tensor, Error> {
        assert_eq!(elements.len(), rows * width, "elements of the rows");
        let lane =
            |lane: &[f32]| Lane(std::array::from_fn(|channel| lane.get(channel).copied().unwrap_or(0.0)));
        let mut buffer: Vec<Lane> = elements.chunks(4).map(lane).collect();
        let address = buffer.as_mut_ptr().expose_provenance() as u64;
        self.buffers.push(buffer);
        // SAFETY: the buffer holds so many elements and is kept until the loan ends; until then nobody else touches it.
        unsafe { Tensor::foreign(&self.device, DType::F32, rows, width, address) }
    }

    fn end(&mut self, rows: Tensor) -> Result<Vec<f32>, Error> {
        if let Device::Gpu(gpu) = &self.device {
            gpu.synchronize()?;
        }
        let kept = self.buffers.pop().unwrap_or_default();
        let elements = kept.iter().flat_map(|lane| lane.0).take(rows.rows() * rows.width());
        Ok(elements.collect())
    }
}
