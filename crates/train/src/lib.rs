//! Training for latent reasoners: recurrent depth (arXiv 2502.05171), latent chains of thought, and the latent reward model
//! (LatentTTS, arXiv 2510.07745).
//!
//! There is no autograd: every block of a network has its backward pass beside its forward pass, and an objective calls both.

pub mod annotate;
pub mod checkpoint;
pub mod data;
pub mod error;
mod files;
pub mod initial;
mod journal;
mod network;
pub mod objective;
pub mod optimizer;
pub mod parameters;
pub mod parity;
pub mod recurrence;
pub mod reward;
pub mod run;
pub mod schedule;
pub mod segment;
mod toml_file;

pub use error::{Error, Result};
