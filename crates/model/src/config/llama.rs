//! Llama's `config.json`: CoLaR (spec latenttts §1.4, §1.5).

use fathom::ops::rope::frequency;

use super::SpecialIds;
use super::fields::Fields;
use crate::error::Result;

/// Llama shapes (spec latenttts §1.4).
#[derive(Debug, Clone, PartialEq)]
pub struct LlamaConfig {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width h of the residual stream.
    pub width: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Channels a head.
    pub head_dim: usize,
    /// Width of the gated MLP.
    pub inner: usize,
    /// Longest position.
    pub context: usize,
    /// RMSNorm epsilon.
    pub norm_eps: f32,
    /// RoPE base θ.
    pub rope_theta: f32,
    /// Frequency scaling of Llama 3, if any.
    pub rope_scaling: Option<Llama3Scaling>,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Hidden width of CoLaR's latent head.
    pub latent_width: Option<usize>,
    /// Scale of CoLaR's latent head (0.018 as published).
    pub latent_embedding_std: f32,
    /// Special ids.
    pub ids: SpecialIds,
}

/// The "llama3" RoPE frequency scaling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3Scaling {
    /// Divides low frequencies.
    pub factor: f32,
    /// Below `original_context / low` wavelengths nothing is kept.
    pub low_freq_factor: f32,
    /// Above `original_context / high` wavelengths nothing is scaled.
    pub high_freq_factor: f32,
    /// Context the frequencies were trained for.
    pub original_context: f32,
}

impl LlamaConfig {
    /// Radians a position of each pair: θ^(−2i/d), with Llama 3's scaling of the low ones: wavelengths beyond original/low are
    /// stretched by `factor`, those below original/high are kept, and between the two the stretch is blended linearly in
    /// original/wavelength.
    pub fn frequencies(&self) -> Vec<f32> {
        let plain = (0..self.head_dim / 2).map(|i| frequency(self.rope_theta, 2 * i, self.head_dim));
        let scale = |plain: f32| {
            let Some(s) = self.rope_scaling else { return plain };
            let turns = s.original_context * plain / std::f32::consts::TAU;
            let blend =
                ((turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor)).clamp(0.0, 1.0);
            (1.0 - blend) * plain / s.factor + blend * plain
        };
        plain.map(scale).collect()
    }

    pub(super) fn parse(fields: &Fields) -> Result<Self> {
        fields.only("hidden_act", "silu")?;
        fields.flag("attention_bias", false)?;
        fields.flag("mlp_bias", false)?;
        let width = fields.size(&["hidden_size"])?;
        let heads = fields.size(&["num_attention_heads"])?;
        let kv_heads = fields.optional_size(&["num_key_value_heads"])?.unwrap_or(heads);
        fields.divides(&["num_key_value_heads"], kv_heads, "num_attention_heads", heads)?;
        let head_dim = match fields.optional_size(&["head_dim"])? {
            Some(channels) => channels,
            None => {
                fields.divides(&["num_attention_heads"], heads, "hidden_size", width)?;
                width / heads
            }
        };
        if !head_dim.is_multiple_of(2) {
            return Err(fields.bad("head_dim", format!("{head_dim} is odd, rotary embeddings need pairs")));
        }
        let vocab_size = fields.size(&["vocab_size"])?;
        Ok(Self {
            vocab_size,
            width,
            layers: fields.size(&["num_hidden_layers"])?,
            heads,
            kv_heads,
            head_dim,
            inner: fields.size(&["intermediate_size"])?,
            context: fields.size(&["max_position_embeddings"])?,
            norm_eps: fields.positive("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta: fields.positive("rope_theta")?.unwrap_or(1e4),
            rope_scaling: Llama3Scaling::parse(fields)?,
            tied: fields.boolean("tie_word_embeddings")?.unwrap_or(false),
            latent_width: fields.optional_size(&["latent_intermediate_size"])?,
            latent_embedding_std: fields.positive("latent_embedding_std")?.unwrap_or(0.018),
            ids: SpecialIds::parse(fields, vocab_size)?,
        })
    }
}

impl Llama3Scaling {
    fn parse(fields: &Fields) -> Result<Option<Self>> {
        let Some(scaling) = fields.inner("rope_scaling")? else { return Ok(None) };
        // `type` is the spelling of older configurations.
        let (key, kind) = match scaling.text("rope_type")? {
            Some(kind) => ("rope_type", Some(kind)),
            None => ("type", scaling.text("type")?),
        };
        match kind {
            Some("default") => return Ok(None),
            Some("llama3") => {}
            Some(other) => return Err(scaling.bad(key, format!("{other:?} is not supported"))),
            None => return Err(scaling.bad("rope_type", "is missing")),
        }
        let need = |key| scaling.positive(key)?.ok_or_else(|| scaling.bad(key, "is missing"));
        let read = Self {
            factor: need("factor")?,
            low_freq_factor: need("low_freq_factor")?,
            high_freq_factor: need("high_freq_factor")?,
            original_context: need("original_max_position_embeddings")?,
        };
        // The blend between the two divides by their difference.
        if read.high_freq_factor <= read.low_freq_factor {
            return Err(scaling.bad("high_freq_factor", "is not above low_freq_factor"));
        }
        Ok(Some(read))
    }
}
