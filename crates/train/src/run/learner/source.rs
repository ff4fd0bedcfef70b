//! Where the parameters of a run begin.

use fathom_model::checkpoint::Checkpoint;

use crate::{
    error::Result,
    initial::Initial,
    parameters::{Init, Source},
};

/// Modules that a body without them may be given: CODI's projector, CoLaR's latent head.
const OPTIONAL: [&str; 3] = ["projector.", "prj.", "lt_head."];

/// A checkpoint, or at random what it lacks of φ, or all.
#[derive(Debug)]
pub(super) struct Begun<'a> {
    initial: Initial,
    weights: Option<&'a Checkpoint>,
}

impl<'a> Begun<'a> {
    pub(super) fn new(seed: u64, weights: Option<&'a Checkpoint>) -> Self {
        Self { initial: Initial { seed }, weights }
    }
}

impl Source for Begun<'_> {
    fn read(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let optional = OPTIONAL.iter().any(|module| name.starts_with(module));
        match self.weights {
            Some(mut weights) if !optional || weights.contains(name) => weights.read(name, shape, init),
            _ => self.initial.read(name, shape, init),
        }
    }

    fn name<'n>(&self, names: &[&'n str]) -> &'n str {
        self.weights.map_or_else(|| self.initial.name(names), |weights| weights.name(names))
    }
}
