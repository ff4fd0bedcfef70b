//! What training computes, beside the published training code and beside itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod annotate;
mod data;
mod devices;
mod parity;
mod prepared;
mod reward;
mod run;
