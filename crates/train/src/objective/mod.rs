//! What is minimised: the loss of a batch, and its gradients.

pub mod chain;
pub mod recurrence;
pub mod reward;
