//! The seam between launch code and what runs it.

use std::{
    fmt::{self, Debug},
    time::Instant,
};

use crate::{Error, Result};

/// A kernel of a file of `kernels/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kernel {
    /// The file's stem: one module.
    pub(crate) file: &'static str,
    /// The kernel's name.
    pub(crate) name: &'static str,
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of kernels/{}.cu", self.name, self.file)
    }
}

/// One launch of a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Launch<'a> {
    pub(crate) kernel: Kernel,
    /// The bytes of its parameter struct.
    pub(crate) params: &'a [u8],
    /// Blocks along x, y and z.
    pub(crate) grid: [u32; 3],
    /// Threads a block, all along x.
    pub(crate) block: u32,
    /// Bytes of dynamic shared memory.
    pub(crate) shared: u32,
}

/// A tile that a kernel copies from rows of bf16 in global memory through a tensor map, swizzled by 128 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiled {
    pub(crate) address: u64,
    pub(crate) rows: u64,
    pub(crate) columns: u64,
    /// Bytes from one row to the next.
    pub(crate) pitch: u64,
    /// Rows of a tile; it has 64 columns.
    pub(crate) tile_rows: u32,
}

/// Graphs of launches that came again, on a device that keeps them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graphs {
    /// Lists of launches that became graphs.
    pub captured: u64,
    /// Graphs submitted, each in place of its launches.
    pub replayed: u64,
    /// Why the last list that could not become a graph is submitted launch by launch instead, whatever others did since:
    /// results are the same.
    pub failure: Option<Error>,
}

/// Memory and launches in one order: what is submitted later sees what was submitted before.
pub(crate) trait Executor: Debug + Send + Sync {
    /// Memory of its own, at a multiple of 256 bytes, with unspecified contents; `bytes` is not 0.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Gives memory back once what was submitted before has run; an error is that of the next call.
    ///
    /// # Safety
    /// `allocate` gave it for so many bytes, and nobody uses it afterwards.
    unsafe fn free(&self, address: u64, bytes: usize);

    /// Copies to the device; `bytes` may change afterwards.
    ///
    /// # Safety
    /// There is so much memory at `to`, and nobody else uses it.
    unsafe fn upload(&self, to: u64, bytes: &[u8]) -> Result<()>;

    /// As `upload`, ahead of the launches that are held back.
    ///
    /// # Safety
    /// As `upload`; no launch that is held back reads or writes there.
    unsafe fn upload_ahead(&self, to: u64, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.upload(to, bytes) }
    }

    /// How often launches that were held back have been submitted: one that was handed over at a count waits until it is
    /// higher.
    fn flushes(&self) -> u64 {
        0
    }

    /// Whether memory that is given back is worth keeping: asking for it takes the device's or the driver's time.
    fn pools(&self) -> bool {
        false
    }

    /// Copies to the host, and waits for it.
    ///
    /// # Safety
    /// There is so much memory at `from`.
    unsafe fn download(&self, from: u64, bytes: &mut [u8]) -> Result<()>;

    /// Copies `rows` stretches of `bytes` bytes within the device, each end an address and the bytes from one stretch to the
    /// next.
    ///
    /// # Safety
    /// There is so much memory at both ends; they do not overlap.
    unsafe fn copy(&self, from: (u64, usize), to: (u64, usize), bytes: usize, rows: usize) -> Result<()>;

    /// Submits a launch, at the next flush at the latest.
    ///
    /// # Safety
    /// The addresses in `launch.params` are this device's, live until the launch has run, of the extents that the kernel
    /// reads and writes, and nothing else that is under way touches what it writes.
    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()>;

    /// Hands over what is held back to be submitted together, and does not wait for it. What copies, frees or waits begins
    /// with it.
    fn flush(&self) -> Result<()> {
        Ok(())
    }

    /// As `flush`, before memory of others may go; an error is that of the next call.
    fn let_go(&self) {}

    /// What became of graphs so far.
    fn graphs(&self) -> Graphs {
        Graphs::default()
    }

    /// Waits until everything that was submitted has run.
    fn synchronize(&self) -> Result<()>;

    /// Seconds from before what `work` submits until it has run, by the device's clock; here by the host's.
    fn elapsed(&self, work: &mut dyn FnMut() -> Result<()>) -> Result<f64> {
        self.synchronize()?;
        let start = Instant::now();
        work()?;
        self.synchronize()?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// The tensor map of a matrix, as it goes into parameters: 128 bytes.
    fn tensor_map(&self, tiled: &Tiled) -> Result<[u64; 16]>;

    /// Whether kernels of sm_90a run.
    fn hopper(&self) -> bool;

    /// Whether it runs what it is given: one that only counts needs no weights' elements.
    fn computes(&self) -> bool {
        true
    }
}
