//! The sandwich block: norms before and after attention and MLP (spec huginn §1.4–1.6).

use fathom::{
    Perturb, Result as OpResult, Tensor, Weight,
    ops::{
        attention::Heads,
        linear::{Epilogue, linear},
        rms_norm::rms_norm,
        rope::{Layout, rope},
    },
};

use crate::{
    config::HuginnConfig,
    error::Result,
    pass::{Place, Run, attend},
    scratch::Scratch,
    weights::Loader,
};

/// One block's weights.
#[derive(Debug)]
pub(super) struct Block {
    norms: [Vec<f32>; 4],
    qkv: Weight,
    /// Learned bias of q and k, zeros for v.
    bias: Option<Vec<f32>>,
    out: Weight,
    gate_up: Weight,
    down: Weight,
}

impl Block {
    pub(super) fn load(name: &str, config: &HuginnConfig, heads: Heads, loader: &Loader<'_>) -> Result<Self> {
        let (h, inner) = (config.width, config.inner);
        let norm = |i: usize| loader.vector(&format!("{name}.norm_{i}.weight"), h);
        let bias = if config.qk_bias {
            let view =
                loader.checkpoint.take(&format!("{name}.attn.qk_bias"), &[2, 1, heads.query, heads.dim])?;
            let mut bias = view.to_vec();
            bias.resize(heads.fused_width(), 0.0);
            Some(bias)
        } else {
            None
        };
        Ok(Self {
            norms: [norm(1)?, norm(2)?, norm(3)?, norm(4)?],
            qkv: loader.linear(&format!("{name}.attn.Wqkv.weight"), h, heads.fused_width())?,
            bias,
            out: loader.linear(&format!("{name}.attn.proj.weight"), heads.query * heads.dim, h)?,
            gate_up: loader.gate_up_halves(&format!("{name}.mlp.fc.weight"), h, inner)?,
            down: loader.linear(&format!("{name}.mlp.proj.weight"), inner, h)?,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        let weights = [&self.qkv, &self.out, &self.gate_up, &self.down];
        let bias = self.bias.as_ref().map_or(0, Vec::len);
        weights.iter().map(|w| w.bytes()).sum::<usize>() + 4 * (bias + 4 * self.norms[0].len())
    }

    /// norm_4(mlp(norm_3(y)) + y) with y = norm_2(attn(norm_1(x)) + x), for the stream x in `scratch`, whose angles are
    /// there too.
    pub(super) fn forward(
        &self,
        runs: &mut [Run<'_>],
        place: Place<'_>,
        heads: Heads,
        eps: f32,
        scratch: &mut Scratch,
    ) -> OpResult<()> {
        let norm = |x: &Tensor, i: usize, out: &mut Tensor| rms_norm(x, &self.norms[i], eps, out);
        let residual = Epilogue::Residual(Perturb::None);
        let Scratch { x, normed, qkv, turns, .. } = &mut *scratch;
        norm(x, 0, normed)?;
        linear(normed, &self.qkv, self.bias.as_deref(), Epilogue::None, qkv)?;
        rope(qkv, heads.query + heads.kv, turns, Layout::Interleaved)?;
        attend(runs, place, heads, false, false, scratch)?;
        let Scratch { x, normed, mixed, hidden, .. } = scratch;
        linear(mixed, &self.out, None, residual, x)?;
        norm(x, 1, mixed)?;
        norm(mixed, 2, normed)?;
        linear(normed, &self.gate_up, None, Epilogue::SwiGlu, hidden)?;
        linear(hidden, &self.down, None, residual, mixed)?;
        norm(mixed, 3, x)
    }
}
