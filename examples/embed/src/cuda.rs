//! CUDA buffers of this program, on a stream of its own.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaSlice, CudaStream, DevicePtrMut, DriverError, sys};
use fathom::{DType, Device, Error, Tensor};

use crate::owner::Owner;

/// Lends buffers; copies of its own and operations share one stream, so that neither waits for the other.
pub struct Lent {
    // Ends before its stream does.
    device: Device,
    stream: Arc<CudaStream>,
    buffers: Vec<CudaSlice<f32>>,
}

impl Lent {
    /// On the first GPU.
    pub fn open() -> Result<Self, Error> {
        // SAFETY: loads the driver's library and lets it go.
        if !unsafe { sys::is_culib_present() } {
            let why = "no CUDA driver on this machine".into();
            return Err(Error::Unavailable { device: "cuda:0".into(), why });
        }
        let context = CudaContext::new(0).map_err(failed)?;
        // SAFETY: one stream, so that no buffer is used on two.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(failed)?;
        // SAFETY: the stream outlives the device, and is not captured.
        let device = unsafe { Device::cuda_on(stream.cu_stream().cast())? };
        Ok(Self { device, stream, buffers: Vec::new() })
    }
}

impl Owner for Lent {
    fn device(&self) -> Device {
        self.device.clone()
    }

    fn lend(&mut self, rows: usize, width: usize, elements: Vec<f32>) -> Result<Tensor, Error> {
        assert_eq!(elements.len(), rows * width, "elements of the rows");
        let mut buffer = self.stream.clone_htod(&elements).map_err(failed)?;
        let (address, _) = buffer.device_ptr_mut(&self.stream);
        self.buffers.push(buffer);
        // SAFETY: the buffer holds so many elements and is kept until the loan ends; until then nobody else touches it.
        unsafe { Tensor::foreign(&self.device, DType::F32, rows, width, address) }
    }

    fn end(&mut self, rows: Tensor) -> Result<Vec<f32>, Error> {
        // Puts what was launched on the stream; the copy comes after it there.
        if let Device::Gpu(gpu) = &self.device {
            gpu.flush()?;
        }
        drop(rows);
        let Some(buffer) = self.buffers.pop() else { return Ok(Vec::new()) };
        let elements = self.stream.clone_dtoh(&buffer).map_err(failed)?;
        self.stream.synchronize().map_err(failed)?;
        Ok(elements)
    }
}

fn failed(error: DriverError) -> Error {
    Error::Device { device: "cuda:0".into(), what: error.to_string() }
}
