//! What thoughts do on their way: where they come to rest, on which path, how far apart, and what they are worth.
//!
//! [`record`] runs a model on a question and keeps its states; the other modules are plain functions of them, in double
//! precision. A *track* is the states of one token (recurrent depth) or of one trajectory (latent chains), one a step.

pub mod classify;
pub mod distance;
pub mod pca;
pub mod record;

pub use classify::{Class, classify};
pub use pca::{Projection, project};
pub use record::{Sampled, Trace, TraceOptions, Track, Trajectory, trace};
