//! The networks whose shapes are timed.

use fathom::ops::{attention::Heads, rope};

/// A network, as far as its shapes go.
pub(crate) struct Network {
    pub(crate) name: &'static str,
    pub(crate) width: usize,
    /// Channels within the MLP.
    pub(crate) hidden: usize,
    pub(crate) heads: Heads,
    /// Layers of a step, each with weights of its own.
    pub(crate) layers: usize,
    pub(crate) vocabulary: usize,
    pub(crate) form: Form,
}

impl Network {
    /// Elements of the weights of one layer.
    pub(crate) fn layer(&self) -> usize {
        let Network { width, hidden, heads, form, .. } = *self;
        let up = if form == Form::Gpt2 { hidden } else { 2 * hidden };
        width * heads.fused_width() + heads.query * heads.dim * width + width * up + hidden * width
    }
}

/// How the layers of a network are built.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// LayerNorm, learned positions, biases, GELU.
    Gpt2,
    /// RMSNorm, rotary positions, SwiGLU.
    Llama,
    /// As Llama, with norms before and after; an adapter at the entrance of every recurrence.
    Huginn,
}

impl Form {
    /// Which channels the rotation pairs up, where there is one.
    pub(crate) fn rotation(self) -> Option<rope::Layout> {
        match self {
            Form::Gpt2 => None,
            Form::Llama => Some(rope::Layout::HalfSplit),
            Form::Huginn => Some(rope::Layout::Interleaved),
        }
    }
}

pub(crate) const GPT2: Network = Network {
    name: "GPT-2",
    width: 768,
    hidden: 3072,
    heads: Heads { query: 12, kv: 12, dim: 64 },
    layers: 12,
    vocabulary: 50257,
    form: Form::Gpt2,
};

pub(crate) const LLAMA: Network = Network {
    name: "Llama-1B",
    width: 2048,
    hidden: 8192,
    heads: Heads { query: 32, kv: 8, dim: 64 },
    layers: 16,
    vocabulary: 128_256,
    form: Form::Llama,
};

/// Its step is one recurrence of the core block.
pub(crate) const HUGINN: Network = Network {
    name: "Huginn",
    width: 5280,
    hidden: 17920,
    heads: Heads { query: 55, kv: 55, dim: 96 },
    layers: 4,
    vocabulary: 65536,
    form: Form::Huginn,
};
