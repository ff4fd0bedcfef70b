//! The kernels on the host, one fiber a CUDA thread.

use std::{
    alloc::{Layout, alloc, dealloc},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fathom_emulator::{Counters, Machine, Options, Swizzle, TensorMap, find};

use super::{
    Executor, Gpu, Graphs, Launch, Tiled,
    queue::{List, Queue, Submit},
};
use crate::{Device, Error, Result};

mod entries {
    #![allow(unreachable_pub, reason = "written by the build script")]
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}

use entries::ENTRIES;

/// A device that runs the kernels' own sources on the host: for tests without a GPU. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Emulated(Arc<Emulation>);

#[derive(Debug)]
struct Emulation {
    machine: Machine,
    options: Options,
    hopper: bool,
    counters: Mutex<Counters>,
    /// Where launches wait as they do on a card; none run at once.
    queue: Option<Mutex<Queue<List>>>,
}

impl Emulated {
    /// A card of sm_90a: products run on the kernels with wgmma.
    pub fn sm_90a(options: Options) -> Self {
        Self::new(options, true, None)
    }

    /// A card of sm_80.
    pub fn sm_80(options: Options) -> Self {
        Self::new(options, false, None)
    }

    /// A card of sm_80 that holds launches back as a real one does, replays those that come again, and keeps memory that is
    /// given back: what a launch does wrong is told by a later call.
    pub fn queued(options: Options) -> Self {
        Self::new(options, false, Some(Mutex::default()))
    }

    fn new(options: Options, hopper: bool, queue: Option<Mutex<Queue<List>>>) -> Self {
        let (machine, counters) = (Machine::new(), Mutex::default());
        Self(Arc::new(Emulation { machine, options, hopper, counters, queue }))
    }

    /// It as a device: each call makes one with memory of its own.
    pub fn device(&self) -> Device {
        Device::Gpu(Gpu::new("emulated".into(), self.0.clone()))
    }

    /// What all launches so far did.
    pub fn counters(&self) -> Counters {
        self.0.counters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Alignment of all memory; kernels rely on 16, copies through tensor maps on 128.
const ALIGNMENT: usize = 256;

fn layout(bytes: usize) -> Result<Layout> {
    Layout::from_size_align(bytes, ALIGNMENT).map_err(|_| no_memory(bytes))
}

fn no_memory(bytes: usize) -> Error {
    Error::Device { device: "emulated".into(), what: format!("no memory of {bytes} bytes") }
}

impl Executor for Emulation {
    fn allocate(&self, bytes: usize) -> Result<u64> {
        let layout = layout(bytes)?;
        // SAFETY: `bytes` is not 0.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            return Err(no_memory(bytes));
        }
        // What is read before it is written is NaN.
        // SAFETY: just allocated.
        unsafe { memory.write_bytes(0xFF, bytes) };
        Ok(memory.expose_provenance() as u64)
    }

    unsafe fn free(&self, address: u64, bytes: usize) {
        self.let_go();
        if let Ok(layout) = layout(bytes) {
            // SAFETY: the caller's promise.
            unsafe { dealloc(pointer(address), layout) }
        }
    }

    unsafe fn upload(&self, to: u64, bytes: &[u8]) -> Result<()> {
        self.flush()?;
        // SAFETY: the caller's promise.
        unsafe { self.upload_ahead(to, bytes) }
    }

    unsafe fn upload_ahead(&self, to: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's promise; the host's slices are not the device's memory.
        unsafe { pointer(to).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    unsafe fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()> {
        self.flush()?;
        // SAFETY: the caller's promise; the host's slices are not the device's memory.
        unsafe { pointer(from).copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }

    unsafe fn copy(&self, from: (u64, usize), to: (u64, usize), bytes: usize, rows: usize) -> Result<()> {
        self.flush()?;
        for row in 0..rows {
            let at = |(address, pitch): (u64, usize)| pointer(address + (row * pitch) as u64);
            // SAFETY: the caller's promise.
            unsafe { at(to).copy_from_nonoverlapping(at(from), bytes) };
        }
        Ok(())
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        match &self.queue {
            Some(queue) => waiting(queue).push(launch, &mut &*self),
            // SAFETY: the caller's promise.
            None => unsafe { self.run(launch) },
        }
    }

    fn flush(&self) -> Result<()> {
        self.queue.as_ref().map_or(Ok(()), |queue| waiting(queue).flush(&mut &*self))
    }

    fn let_go(&self) {
        // What waits goes with the last tensors: nobody would ask what became of it.
        drop(self.flush());
    }

    fn flushes(&self) -> u64 {
        self.queue.as_ref().map_or(0, |queue| waiting(queue).flushes())
    }

    fn graphs(&self) -> Graphs {
        self.queue.as_ref().map_or_else(Graphs::default, |queue| waiting(queue).report())
    }

    fn pools(&self) -> bool {
        self.queue.is_some()
    }

    fn synchronize(&self) -> Result<()> {
        self.flush()
    }

    fn tensor_map(&self, tiled: &Tiled) -> Result<[u64; 16]> {
        let Tiled { address, rows, columns, pitch, tile_rows } = *tiled;
        let map = TensorMap::new(address, [rows, columns], pitch, [tile_rows, 64], 2, Swizzle::Bytes128)
            .map_err(|error| Error::Device { device: "emulated".into(), what: error.to_string() })?;
        // SAFETY: both are 128 bytes without padding.
        Ok(unsafe { std::mem::transmute::<TensorMap, [u64; 16]>(map) })
    }

    fn hopper(&self) -> bool {
        self.hopper
    }
}

fn waiting(queue: &Mutex<Queue<List>>) -> MutexGuard<'_, Queue<List>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Submit for &Emulation {
    type Graph = List;

    fn submit(&mut self, launch: &Launch<'_>) -> Result<()> {
        // SAFETY: who asked for the launch promised it until it has run.
        unsafe { self.run(launch) }
    }

    fn capture(&mut self, list: &List) -> Result<List> {
        Ok(list.clone())
    }

    fn replay(&mut self, graph: &List) -> Result<()> {
        graph.iter().try_for_each(|launch| self.submit(&launch))
    }
}

impl Emulation {
    /// Runs a launch to its end.
    ///
    /// # Safety
    /// As [`Executor::launch`].
    unsafe fn run(&self, launch: &Launch<'_>) -> Result<()> {
        let failed = |what: String| Error::Device { device: "emulated".into(), what };
        let entry = find(ENTRIES, launch.kernel.name).map_err(|report| failed(report.to_string()))?;
        let emulated = fathom_emulator::Launch {
            entry,
            params: launch.params,
            grid: launch.grid,
            block: [launch.block, 1, 1],
            shared_bytes: launch.shared,
        };
        // SAFETY: the caller's promise.
        let counters = unsafe { self.machine.run(&emulated, &self.options) }
            .map_err(|report| failed(format!("{}: {report}", launch.kernel.name)))?;
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner) += counters;
        Ok(())
    }
}

fn pointer(address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address as usize)
}
