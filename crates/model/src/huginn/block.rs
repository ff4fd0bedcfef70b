//! The sandwich block's tensors in a checkpoint (spec huginn §1.4–1.6).

use fathom::ops::{attention::Heads, sandwich::Block};

use crate::{config::HuginnConfig, error::Result, weights::Loader};

/// The block that a checkpoint calls `name`.
pub(super) fn load(name: &str, config: &HuginnConfig, heads: Heads, loader: &Loader<'_>) -> Result<Block> {
    let (h, inner) = (config.width, config.inner);
    let norm = |i: usize| loader.vector(&format!("{name}.norm_{i}.weight"), h);
    let bias = if config.qk_bias {
        let view =
            loader.checkpoint.take(&format!("{name}.attn.qk_bias"), &[2, 1, heads.query, heads.dim])?;
        // Of queries and keys; values have none.
        let mut bias = view.to_vec();
        bias.resize(heads.fused_width(), 0.0);
        Some(loader.hold(bias)?)
    } else {
        None
    };
    Ok(Block {
        norms: [norm(1)?, norm(2)?, norm(3)?, norm(4)?],
        qkv: loader.linear(&format!("{name}.attn.Wqkv.weight"), h, heads.fused_width())?,
        bias,
        out: loader.linear(&format!("{name}.attn.proj.weight"), heads.query * heads.dim, h)?,
        gate_up: loader.gate_up_halves(&format!("{name}.mlp.fc.weight"), h, inner)?,
        down: loader.linear(&format!("{name}.mlp.proj.weight"), inner, h)?,
    })
}
