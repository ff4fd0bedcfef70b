//! What a step cannot do without: its weights once, and the keys and values that it reads and writes.

use fathom_model::config::{Config, Gpt2Config, HuginnConfig, LlamaConfig};

use crate::step::{Kind, Step};

/// Bytes of a step in bf16.
pub(crate) fn floor(config: &Config, kind: Kind, recurrences: usize, step: &Step) -> u64 {
    let Needed { weights, layers, cached } = needed(config, kind, recurrences);
    let [prompt, own] = step.positions;
    // Every position is read by keys and by values; each row writes one.
    let positions = prompt + step.rows * own + step.rows;
    2 * (weights + 2 * layers * cached * positions) as u64
}

struct Needed {
    /// Elements of matrices, as often as they are needed.
    weights: usize,
    /// Calls of a layer.
    layers: usize,
    /// Channels of a position's keys in a layer.
    cached: usize,
}

fn needed(config: &Config, kind: Kind, recurrences: usize) -> Needed {
    match *config {
        Config::Huginn(HuginnConfig { width: h, inner, vocab_size, prelude, core, coda, .. }) => {
            let layer = h * 3 * h + h * h + 3 * h * inner;
            let recurrence = core * layer + h * h;
            match kind {
                Kind::Thought => Needed { weights: recurrence, layers: core, cached: h },
                Kind::Token => Needed {
                    weights: recurrences * recurrence + (prelude + coda) * layer + h * h + vocab_size * h,
                    layers: recurrences * core + prelude + coda,
                    cached: h,
                },
            }
        }
        Config::Gpt2(Gpt2Config { width: h, inner, vocab_size, layers, .. }) => {
            let head = if kind == Kind::Token { vocab_size * h } else { 0 };
            Needed { weights: layers * (4 * h * h + 2 * h * inner) + head, layers, cached: h }
        }
        Config::Llama(LlamaConfig {
            width: h,
            inner,
            vocab_size,
            layers,
            heads,
            kv_heads,
            head_dim,
            latent_width,
            ..
        }) => {
            let [queries, cached] = [heads, kv_heads].map(|heads| heads * head_dim);
            let latent = latent_width.unwrap_or(h);
            // A thought asks the head whether it ends.
            let latent_head = if kind == Kind::Thought { 2 * h * latent + latent * latent } else { 0 };
            let layer = h * (queries + 2 * cached) + queries * h + 3 * h * inner;
            Needed { weights: layers * layer + vocab_size * h + latent_head, layers, cached }
        }
    }
}
