//! The binary as its users meet it: figures, interrupted and divided runs, memory, bad input, broken outputs.

// Helpers of tests may unwrap as tests do; clippy's setting for tests covers marked functions alone.
#![allow(clippy::unwrap_used)]

mod bad_data;
mod bad_model;
mod binary;
mod figures;
mod generate;
mod make_data;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(unix)]
mod outputs;
mod parity;
#[cfg(unix)]
mod resume;
#[cfg(unix)]
mod reward;
mod score;
mod shards;
mod tensors;
mod trace;
mod train;
mod usage;
