//! Everything that the published code computed for one tiny network (`tests/fixtures/huginn-golden.json`): packed forwards, cached
//! decoding, exit criteria, sampling filters, and generation of every kind. Values within 1e-5, or what is said there (the file
//! rounds to seven digits); tokens and counts equal.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod forward;
mod generation;
mod network;
