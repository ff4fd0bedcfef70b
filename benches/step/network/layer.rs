//! A layer of each network, from the library's operations.

use fathom::{
    Perturb, Result, Tensor, Weight,
    kv::Run,
    ops::{
        attention::{Query, attention},
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        qkv::{Input, Projection, Rotation, qkv},
        rms_norm::{double_norm, rms_norm},
    },
};

use crate::harness::{
    data::Place,
    network::{Form, Network},
};

pub(super) const EPS: f32 = 1e-5;

struct Affine {
    weight: Weight,
    bias: Option<Tensor>,
}

impl Affine {
    fn apply(&self, x: &Tensor, epilogue: Epilogue<'_>, out: &mut Tensor) -> Result<()> {
        linear(x, &self.weight, self.bias.as_ref(), epilogue, out)
    }
}

/// The weights of one layer.
pub(super) struct Layer {
    /// One weight and one bias for all of its norms.
    norm: [Tensor; 2],
    qkv: Affine,
    out: Affine,
    up: Affine,
    down: Affine,
}

/// What a pass works on: residual stream, the same to be, normed, queries, attention's result, hidden.
pub(super) struct Scratch {
    pub(super) x: Tensor,
    spare: Tensor,
    pub(super) normed: Tensor,
    q: Tensor,
    mixed: Tensor,
    hidden: Tensor,
}

impl Scratch {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            x: place.empty(),
            spare: place.empty(),
            normed: place.empty_operand(),
            q: place.empty_operand(),
            mixed: place.empty_operand(),
            hidden: place.empty_operand(),
        }
    }
}

/// Where the rows of a pass are.
pub(super) struct Rows<'a, 's> {
    pub(super) runs: &'a mut [Run<'s>],
    pub(super) queries: &'a [Query],
    pub(super) turns: &'a Tensor,
}

impl Layer {
    pub(super) fn new(place: &Place, network: &Network) -> Result<Self> {
        let Network { width, hidden, heads, form, .. } = *network;
        let affine =
            |k, n, bias: bool| Affine { weight: place.weight(k, n), bias: bias.then(|| place.tensor(1, n)) };
        let gpt2 = form == Form::Gpt2;
        let norm = |value| Tensor::vector(&place.device, vec![value; width]);
        Ok(Self {
            norm: [norm(1.0)?, norm(0.0)?],
            qkv: affine(width, heads.fused_width(), form != Form::Llama),
            out: affine(heads.query * heads.dim, width, gpt2),
            up: affine(width, if gpt2 { hidden } else { 2 * hidden }, gpt2),
            down: affine(hidden, width, gpt2),
        })
    }

    /// The stream in `scratch.x` after this layer, whose keys and values go to `slot`.
    pub(super) fn forward(
        &self,
        network: &Network,
        slot: usize,
        Rows { runs, queries, turns }: &mut Rows<'_, '_>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Self { norm: [scale, shift], qkv: fused, out, up, down } = self;
        let Scratch { x, spare, normed, q, mixed, hidden } = scratch;
        let Network { heads, form, .. } = *network;
        let residual = Epilogue::Residual(Perturb::None);
        let input = if form == Form::Gpt2 {
            layer_norm(x, scale, shift, EPS, normed)?;
            Input::Plain(normed)
        } else {
            Input::RmsNorm { x, weight: scale, eps: EPS, aside: normed }
        };
        let projection = Projection { weight: &fused.weight, bias: fused.bias.as_ref(), heads };
        let rotation = form.rotation().map(|layout| Rotation { angles: turns, layout });
        qkv(input, projection, rotation, runs, slot, q)?;
        attention(q, heads, runs, &[slot], queries, mixed)?;
        out.apply(mixed, residual, x)?;
        let activation = match form {
            Form::Gpt2 => {
                layer_norm(x, scale, shift, EPS, normed)?;
                Epilogue::GeluTanh
            }
            Form::Llama => {
                rms_norm(x, scale, EPS, normed)?;
                Epilogue::SwiGlu
            }
            Form::Huginn => {
                double_norm(x, [scale, scale], EPS, normed)?;
                Epilogue::SwiGlu
            }
        };
        up.apply(normed, activation, hidden)?;
        down.apply(hidden, residual, x)?;
        if form == Form::Huginn {
            rms_norm(x, scale, EPS, spare)?;
            std::mem::swap(x, spare);
        }
        Ok(())
    }
}
