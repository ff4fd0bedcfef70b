//! What reward models learn from (spec latenttts §3.3): N trajectories of a question, and for every prefix z_1 … z_t of each
//! the share of M stochastic completions that end in the right answer. Of recurrent depth the latents are the states s_1 … s_r.
//!
//! [`Annotator`] annotates one question. [`shards`] writes and reads the published layout, whose rows are keyed by the index
//! of the question in its data set, so that parts of a data set join by lying in one folder.

mod annotator;
mod config;
mod generator;
mod setup;
pub mod shards;

pub use annotator::{Annotation, Annotator, Kept, placeholder};
pub use config::{AnnotateConfig, Keep, Sampling};
pub use setup::{Part, Setup};
