//! Which step, and what it takes.

use crate::harness::{
    data::Place,
    network::{Form, Network},
    suite::Work,
};

/// What a step is asked to do.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) network: &'static Network,
    /// Trajectories.
    pub(crate) rows: usize,
    /// Positions before a trajectory's own; of its own, the step's included.
    pub(crate) lengths: [usize; 2],
    /// Whether the prompt is one for all.
    pub(crate) shared: bool,
    /// Whether the step ends with the arg-max of the head, where there is one.
    pub(crate) head: bool,
}

impl Shape {
    /// Weights, and keys and values.
    pub(crate) fn work(&self, place: &Place) -> Work {
        let Shape { network, rows, lengths: [prompt, suffix], shared, head } = *self;
        let Network { width, heads, layers, vocabulary, form, .. } = *network;
        let adapter = if form == Form::Huginn { width * width } else { 0 };
        let weights = layers * network.layer() + adapter + if head { vocabulary * width } else { 0 };
        let prompts = if shared { 1 } else { rows };
        let stored = layers * 2 * heads.kv * heads.dim * (prompts * prompt + rows * suffix);
        let attention = 4 * layers * rows * (prompt + suffix) * heads.query * heads.dim;
        Work {
            dtype: place.dtype,
            flop: 2 * rows * weights + attention,
            bytes: place.dtype.bytes() * (weights + stored),
        }
    }
}
