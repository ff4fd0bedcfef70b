//! Kernels and a thin tensor layer for language models that reason in latent space.
//!
//! Two families share this layer: recurrent depth (Huginn, arXiv 2502.05171) and latent chain-of-thought
//! (COCONUT, CODI, CoLaR) with parallel test-time scaling (LatentTTS, arXiv 2510.07745).
//!
//! * [`Tensor`]: activations, `[rows, width]`, always f32; a row is one token of one sequence.
//! * [`Weight`]: a matrix `[k, n]` packed once at load, f32 or bf16.
//! * [`kv`]: keys and values as a tree of segments, so that trajectories share what is common to them.
//! * [`random`]: counter-based draws; a trajectory's randomness depends on nothing but its own coordinates.
//! * [`ops`]: one file an operation; shapes are checked there, then the device's version runs.
//!
//! Results of a row do not depend on the rows beside it: every operation forms its sums in an order that
//! follows from the widths alone (see `docs/numerics.md`). What is random is a function of its coordinates
//! (see `docs/randomness.md`):
//!
//! ```
//! use fathom::{DType, Device, Keep, Perturb, Tensor, Weight};
//! use fathom::ops::linear::{Epilogue, linear};
//! use fathom::random::{Coordinates, Draw, Site, Stream, key};
//!
//! let weight = Weight::from_fn(&Device::Cpu, DType::F32, 2, 4, |row, column| (row + column) as f32)?;
//! let draw = |trajectory| Draw { key: key(0, &[17, 4, 2], Stream::Trajectory), trajectory };
//! let branch = |trajectories: std::ops::Range<u32>| {
//!     let rows = trajectories.len();
//!     let at = |trajectory| Coordinates { draw: draw(trajectory), position: 0, iteration: 0 };
//!     let coordinates: Vec<Coordinates> = trajectories.map(at).collect();
//!     let dropout = Perturb::Dropout { keep: Keep::new(0.5), site: Site::Mlp(0), rows: &coordinates };
//!     let x = Tensor::new(&Device::Cpu, rows, 2, vec![1.0; 2 * rows])?;
//!     let mut stream = Tensor::zeros(&Device::Cpu, rows, 4)?;
//!     linear(&x, &weight, None, Epilogue::Residual(dropout), &mut stream)?;
//!     Ok::<_, fathom::Error>(stream)
//! };
//! // Trajectory 1 drops the same channels beside another one as alone.
//! assert_eq!(branch(0..2)?.row(1), branch(1..2)?.row(0));
//! # Ok::<(), fathom::Error>(())
//! ```

mod cpu;
mod device;
mod error;
#[cfg_attr(
    not(any(feature = "counting", feature = "cuda", feature = "emulator")),
    allow(dead_code, unused_imports, reason = "nothing runs kernels in a build without either")
)]
mod gpu;
pub mod kv;
mod lines;
pub mod ops;
mod perturb;
pub mod random;
mod tensor;
mod tokens;
mod weight;

pub use device::{DType, Device};
pub use error::{Error, Result};
#[cfg(feature = "emulator")]
pub use gpu::Emulated;
#[cfg(feature = "counting")]
#[doc(hidden)]
pub use gpu::counting;
pub use gpu::{Gpu, Graphs};
pub use perturb::{Keep, Perturb};
pub use tensor::Tensor;
pub use tokens::Tokens;
pub use weight::Weight;

/// Runs the known answers of the page.
#[cfg(doctest)]
#[doc = include_str!("../docs/randomness.md")]
struct Randomness;
