//! Operations on GPUs: what is launched, on a card or on its emulation.
//!
//! One file an operation turns checked shapes into the parameters of `kernels/params.h`; an [`Executor`] runs them.

mod arena;
mod buffer;
mod executor;
mod hopper;
mod linear_hopper;
pub(crate) mod params;
mod session;
mod tile;

#[cfg(feature = "counting")]
pub mod counting;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(feature = "emulator")]
mod emulated;
#[cfg(any(test, feature = "counting", feature = "cuda", feature = "emulator"))]
mod queue;

pub(crate) mod activation;
pub(crate) mod adam;
pub(crate) mod adapter;
pub(crate) mod add;
pub(crate) mod arg_max;
pub(crate) mod attention;
pub(crate) mod clear;
mod column_sums;
pub(crate) mod cosine;
pub(crate) mod cross_entropy;
pub(crate) mod distance;
pub(crate) mod embedding;
pub(crate) mod embedding_backward;
pub(crate) mod entropy;
pub(crate) mod gather;
pub(crate) mod heads;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod linear_backward;
pub(crate) mod norm_backward;
pub(crate) mod perturb;
pub(crate) mod qkv;
pub(crate) mod rms_norm;
pub(crate) mod rope;
pub(crate) mod scale;
pub(crate) mod square_sum;
pub(crate) mod weight;
pub(crate) mod window_attention;

#[cfg(all(test, feature = "emulator"))]
mod naive;

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use arena::Arena;
pub(crate) use buffer::Buffer;
#[cfg(feature = "emulator")]
pub use emulated::Emulated;
pub use executor::Graphs;
pub(crate) use executor::{Executor, Kernel, Launch, Tiled};
pub(crate) use session::{Session, Table};

use crate::{DType, Result};

/// A GPU, or its emulation: memory and launches in one order. Clones are the same GPU.
#[derive(Clone)]
pub struct Gpu(Arc<Shared>);

struct Shared {
    name: String,
    arena: Arc<Arena>,
    tables: Mutex<session::Tables>,
    launches: AtomicU64,
}

impl Gpu {
    pub(crate) fn new(name: String, executor: Arc<dyn Executor>) -> Self {
        let arena = Arc::new(Arena::new(executor));
        Self(Arc::new(Shared { name, arena, tables: Mutex::default(), launches: AtomicU64::new(0) }))
    }

    /// How messages call it: `cuda:0`, `emulated`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Kernels launched so far: what a test counts.
    pub fn launches(&self) -> u64 {
        self.0.launches.load(Ordering::Relaxed)
    }

    /// Hands everything that was launched to the device's stream, without waiting for it: launches are gathered until then,
    /// or until tensors are written, read or copied, or there are many. Only others that use the stream need to ask for it, before work of
    /// their own that is to come after.
    ///
    /// # Errors
    /// A kernel that the device does not take.
    pub fn flush(&self) -> Result<()> {
        self.executor().flush()
    }

    /// How many lists of launches became graphs and how often those ran, on a device that holds launches back.
    pub fn graphs(&self) -> Graphs {
        self.executor().graphs()
    }

    /// Gives the driver back the memory that tensors, weights and caches have let go, which is kept for later ones otherwise.
    pub fn trim(&self) {
        self.0.arena.release();
    }

    /// Waits until everything that was submitted has run.
    ///
    /// # Errors
    /// What went wrong on the device since the last wait.
    pub fn synchronize(&self) -> Result<()> {
        self.executor().synchronize()
    }

    /// Seconds from before what `work` submits until all of it has run, by the device's clock where it has one (CUDA events);
    /// what was submitted earlier is waited for first. What a benchmark measures.
    ///
    /// # Errors
    /// Those of `work`; what went wrong on the device since the last wait.
    pub fn elapsed(&self, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
        self.executor().elapsed(&mut work)
    }

    pub(crate) fn executor(&self) -> &dyn Executor {
        self.0.arena.executor()
    }

    /// Opens the launch of an operation; others wait until it is dropped.
    pub(crate) fn session(&self) -> Session<'_> {
        Session::new(self)
    }

    fn count(&self) {
        self.0.launches.fetch_add(1, Ordering::Relaxed);
    }
}

impl PartialEq for Gpu {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gpu {}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gpu").field(&self.0.name).finish()
    }
}

/// Elements from one row of `width` to the next: rows begin at multiples of 16 bytes, whatever their type.
pub(crate) fn pitch(width: usize) -> usize {
    width.next_multiple_of(8)
}

/// Threads of a block that works on a row of `width` channels, sixteen each at a time: by the width alone.
fn row_threads(width: usize) -> u32 {
    width.div_ceil(16).next_multiple_of(32).min(512) as u32
}

/// Bytes of shared memory that a fold over a block takes (`FOLD_SLOTS` of row.h).
const FOLD: usize = 4 * 32;

/// Launches a block for each of `rows` rows of `width` channels; nothing where there are none.
///
/// # Safety
/// As [`Executor::launch`].
unsafe fn launch_rows<P: bytemuck::Pod>(
    session: &mut Session<'_>,
    kernel: Kernel,
    params: &P,
    rows: usize,
    width: usize,
    shared: usize,
) -> Result<()> {
    if rows == 0 || width == 0 {
        return Ok(());
    }
    // SAFETY: the caller's promise.
    unsafe { session.launch(kernel, params, [rows, 1, 1], row_threads(width), shared) }
}

/// A data type as parameters name it.
pub(crate) fn dtype(dtype: DType) -> u32 {
    match dtype {
        DType::F32 => params::DTYPE_F32,
        DType::Bf16 => params::DTYPE_BF16,
    }
}

/// Rows of `width` elements at their pitch, filled up with zeros, in `dtype`.
pub(crate) fn padded(dtype: DType, width: usize, data: &[f32]) -> Vec<u8> {
    let pitch = pitch(width);
    let mut bytes = vec![0; data.len() / width.max(1) * pitch * dtype.bytes()];
    for (row, data) in bytes.chunks_mut(pitch.max(1) * dtype.bytes()).zip(data.chunks(width.max(1))) {
        for (element, &x) in row.chunks_mut(dtype.bytes()).zip(data) {
            match dtype {
                DType::F32 => element.copy_from_slice(&x.to_ne_bytes()),
                DType::Bf16 => element.copy_from_slice(&half::bf16::from_f32(x).to_ne_bytes()),
            }
        }
    }
    bytes
}
