//! What is minimised: the loss of a batch, and its gradients.

pub mod chain;
pub mod codi;
pub mod colar;
pub mod dynamics;
#[cfg(test)]
mod gradient_tests;
pub mod recurrence;
pub mod reward;
