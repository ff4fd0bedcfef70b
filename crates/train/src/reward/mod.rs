//! Training of a latent reward model (spec latenttts §3.4, §3.5): from annotations and the body of the generator to the
//! checkpoint that chooses best among N trajectories of questions it has not seen.

mod candidates;
mod config;
mod log;
mod network;
mod run;
mod study;

pub use candidates::{Choice, Trials};
pub use config::{Labels, Loss, RewardConfig, Validation};
pub use log::{Accuracy, Line};
pub use run::RewardRun;
pub use study::StudyConfig;
