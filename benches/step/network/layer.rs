//! A layer of GPT-2 or Llama, from the library's operations.

use fathom::{
    Perturb, Result, Tensor, Weight,
    kv::Run,
    ops::{
        attention::{Query, attention},
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        qkv::{Input, Projection, Rotation, qkv},
        rms_norm::rms_norm,
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
    qkv: Affine,
    out: Affine,
    up: Affine,
    down: Affine,
}

/// What a pass works on: residual stream, normed, queries, attention's result, hidden.
pub(super) struct Scratch {
    pub(super) x: Tensor,
    pub(super) normed: Tensor,
    q: Tensor,
    mixed: Tensor,
    hidden: Tensor,
}

impl Scratch {
    pub(super) fn new(place: &Place) -> Self {
        let [normed, q, mixed, hidden] = std::array::from_fn(|_| place.empty_operand());
        Self { x: place.empty(), normed, q, mixed, hidden }
    }
}

/// Where the rows of a pass are.
pub(super) struct Rows<'a, 's> {
    pub(super) runs: &'a mut [Run<'s>],
    pub(super) queries: &'a [Query],
    pub(super) rotation: Option<Rotation<'a>>,
}

impl Layer {
    pub(super) fn new(place: &Place, network: &Network) -> Self {
        let Network { width, hidden, heads, form, .. } = *network;
        let gpt2 = form == Form::Gpt2;
        let affine = |k, n| Affine { weight: place.weight(k, n), bias: gpt2.then(|| place.tensor(1, n)) };
        Self {
            qkv: affine(width, heads.fused_width()),
            out: affine(heads.query * heads.dim, width),
            up: affine(width, if gpt2 { hidden } else { 2 * hidden }),
            down: affine(hidden, width),
        }
    }

    /// The stream in `scratch.x` after this layer, whose keys and values go to `slot`; `norm` is weight and bias of all norms.
    pub(super) fn forward(
        &self,
        network: &Network,
        [scale, shift]: &[Tensor; 2],
        slot: usize,
        Rows { runs, queries, rotation }: &mut Rows<'_, '_>,
        Scratch { x, normed, q, mixed, hidden }: &mut Scratch,
    ) -> Result<()> {
        let Network { heads, form, .. } = *network;
        let residual = Epilogue::Residual(Perturb::None);
        let input = if form == Form::Gpt2 {
            layer_norm(x, scale, shift, EPS, normed)?;
            Input::Plain(normed)
        } else {
            Input::RmsNorm { x, weight: scale, eps: EPS, aside: normed }
        };
        let Affine { weight, bias } = &self.qkv;
        qkv(input, Projection { weight, bias: bias.as_ref(), heads }, *rotation, runs, &[slot], q)?;
        attention(q, heads, runs, &[slot], queries, mixed)?;
        self.out.apply(mixed, residual, x)?;
        let activation = if form == Form::Gpt2 {
            layer_norm(x, scale, shift, EPS, normed)?;
            Epilogue::GeluTanh
        } else {
            rms_norm(x, scale, EPS, normed)?;
            Epilogue::SwiGlu
        };
        self.up.apply(normed, activation, hidden)?;
        self.down.apply(hidden, residual, x)
    }
}
