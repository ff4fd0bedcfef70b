//! Huginn's `config.json` (spec huginn §1.1, §2.2).

use super::SpecialIds;
use super::fields::Fields;
use crate::error::Result;

/// Huginn shapes (spec huginn §1.1).
#[derive(Debug, Clone, PartialEq)]
pub struct HuginnConfig {
    /// Rows of the embedding, padding included.
    pub vocab_size: usize,
    /// Width h.
    pub width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width m of the gated MLP.
    pub inner: usize,
    /// Blocks before the recurrence.
    pub prelude: usize,
    /// Blocks of one core iteration.
    pub core: usize,
    /// Blocks after the recurrence.
    pub coda: usize,
    /// Default r.
    pub mean_recurrence: usize,
    /// Longest position.
    pub context: usize,
    /// RMSNorm epsilon.
    pub norm_eps: f32,
    /// RoPE base θ.
    pub rope_base: f32,
    /// Whether q and k have a learned bias.
    pub qk_bias: bool,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Factor on the embedding: `init_values.embed_scale`, which models retrofitted from other networks set to 1,
    /// else √h. (The published code derives √h and ignores the key; in its own checkpoints the two agree.)
    pub embed_scale: f32,
    /// σ of the initial state before the embedding scale, √(2/(5h)).
    pub init_std: f32,
    /// Core iterations of a reward model over this body, from s_0 = 0 (docs/reward.md); 1 where absent.
    pub iterations: usize,
    /// Special ids.
    pub ids: SpecialIds,
}

impl HuginnConfig {
    /// The key of [`HuginnConfig::iterations`] in `config.json`.
    pub const ITERATIONS: &str = "iterations";

    pub(super) fn parse(fields: &Fields) -> Result<Self> {
        fields.only("injection_type", "linear")?;
        fields.only("block_class_name", "SandwichBlock")?;
        fields.only("norm_class_name", "RMSNorm_llama")?;
        fields.only("nonlin_name", "SiLU")?;
        fields.only("mlp_class_name", "GatedMLP")?;
        fields.only("state_init", "like-init")?;
        fields.flag("bias", false)?;
        let width = fields.size(&["n_embd", "hidden_size"])?;
        let head_keys = ["n_heads", "num_attention_heads"];
        let heads = fields.size(&head_keys)?;
        fields.divides(&head_keys, heads, "n_embd", width)?;
        let head_dim = width / heads;
        if fields.optional_size(&["head_dim"])?.is_some_and(|given| given != head_dim) {
            return Err(fields.bad("head_dim", format!("is not n_embd / n_heads = {head_dim}")));
        }
        if !head_dim.is_multiple_of(2) {
            return Err(fields.bad(
                fields.spelled(&head_keys),
                format!("head dimension {head_dim} is odd, rotary embeddings need pairs"),
            ));
        }
        let kv_heads = fields.optional_size(&["num_key_value_heads"])?.unwrap_or(heads);
        fields.divides(&["num_key_value_heads"], kv_heads, "n_heads", heads)?;
        let vocab_size = fields.size(&["padded_vocab_size", "vocab_size"])?;
        let scale =
            fields.inner("init_values")?.map(|init| init.positive("embed_scale")).transpose()?.flatten();
        let h = width as f64;
        Ok(Self {
            vocab_size,
            width,
            heads,
            kv_heads,
            inner: fields.size(&["intermediate_size"])?,
            prelude: fields.count(&["n_layers_in_prelude"])?,
            core: fields.size(&["n_layers_in_recurrent_block"])?,
            coda: fields.count(&["n_layers_in_coda"])?,
            mean_recurrence: fields.size(&["mean_recurrence"])?,
            context: fields.size(&["block_size", "max_position_embeddings"])?,
            norm_eps: fields.positive("norm_eps")?.unwrap_or(1e-6),
            rope_base: fields.positive("rope_base")?.unwrap_or(5e4),
            qk_bias: fields.boolean("qk_bias")?.unwrap_or(true),
            tied: fields.first_boolean(&["tie_embeddings", "tie_word_embeddings"])?.unwrap_or(true),
            embed_scale: scale.unwrap_or(h.sqrt() as f32),
            init_std: (2.0 / (5.0 * h)).sqrt() as f32,
            iterations: fields.optional_size(&[Self::ITERATIONS])?.unwrap_or(1),
            ids: SpecialIds::parse(fields, vocab_size)?,
        })
    }
}
