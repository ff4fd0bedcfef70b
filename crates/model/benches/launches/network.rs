//! Three networks as checkpoints: a configuration, and zeros that no memory holds, or what a benchmark fills in.

use std::error::Error;

use fathom_model::{
    config::{Config, Gpt2Config, HuginnConfig, LlamaConfig},
    folder::Folder,
};
use memmap2::MmapOptions;
use serde_json::{Map, Value, json};

/// Names, configurations as far as they are read (spec huginn §1.1, latenttts §1.2, §1.4).
pub(crate) const NETWORKS: [(&str, &str); 3] = [
    (
        "Huginn-0125",
        r#"{"model_type": "huginn_raven", "vocab_size": 65536, "n_embd": 5280, "n_heads": 55,
            "num_key_value_heads": 55, "intermediate_size": 17920, "n_layers_in_prelude": 2,
            "n_layers_in_recurrent_block": 4, "n_layers_in_coda": 2, "mean_recurrence": 32, "block_size": 4096,
            "injection_type": "linear", "block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama",
            "nonlin_name": "SiLU", "mlp_class_name": "GatedMLP", "state_init": "like-init", "bias": false,
            "eos_token_id": 65505}"#,
    ),
    (
        "GPT-2 small, COCONUT",
        r#"{"model_type": "gpt2", "vocab_size": 50260, "n_embd": 768, "n_head": 12, "n_layer": 12,
            "n_positions": 1024, "activation_function": "gelu_new", "eos_token_id": 50256,
            "latent_start_id": 50257, "latent_end_id": 50258, "latent_id": 50259}"#,
    ),
    (
        "Llama-3.2-1B, CoLaR",
        r#"{"model_type": "llama", "vocab_size": 128258, "hidden_size": 2048, "num_hidden_layers": 16,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 8192,
            "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu",
            "rope_scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}, "tie_word_embeddings": true,
            "latent_intermediate_size": 2048, "eos_token_id": 128009, "latent_end_id": 14711, "latent_id": 128257}"#,
    ),
];

/// A tensor's name and shape.
type Shape = (String, Vec<usize>);

/// The elements of a tensor in bf16, by its name and shape.
pub(crate) type Fill = fn(&str, &[usize], &mut [u8]);

/// The folder of a network whose weights `fill` writes, or are zero.
pub(crate) fn folder(
    name: &'static str,
    config: &'static str,
    fill: Option<Fill>,
) -> Result<Folder, Box<dyn Error>> {
    let embedded = |files: Vec<(&'static str, &'static [u8])>| Folder::Embedded { name, files: files.leak() };
    let config = ("config.json", config.as_bytes());
    let shapes = match Config::read(&embedded(vec![config]))? {
        Config::Huginn(config) => huginn(&config),
        Config::Gpt2(config) => gpt2(&config),
        Config::Llama(config) => llama(&config),
    };
    Ok(embedded(vec![config, ("model.safetensors", tensors(&shapes, fill)?)]))
}

/// A safetensors file in bf16. Pages that are only read are the same one of zeros.
fn tensors(shapes: &[Shape], fill: Option<Fill>) -> Result<&'static [u8], Box<dyn Error>> {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in shapes {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}));
    }
    let mut header = Value::Object(header).to_string();
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let mut file = MmapOptions::new().len(8 + header.len() + end).no_reserve_swap().map_anon()?;
    file[..8].copy_from_slice(&(header.len() as u64).to_le_bytes());
    file[8..8 + header.len()].copy_from_slice(header.as_bytes());
    let mut rest = &mut file[8 + header.len()..];
    for (name, shape) in shapes {
        let (tensor, behind) = rest.split_at_mut(2 * shape.iter().product::<usize>());
        rest = behind;
        if let Some(fill) = fill {
            fill(name, shape, tensor);
        }
    }
    // Kept to the end, as a file within the executable would be.
    Ok(Box::leak(Box::new(file.make_read_only()?)))
}

fn huginn(config: &HuginnConfig) -> Vec<Shape> {
    let HuginnConfig { width: h, inner, vocab_size, heads, .. } = *config;
    let block = |name: String| {
        let norms = (1..=4).map(|i| (format!("norm_{i}.weight"), vec![h]));
        let matrices = [
            ("attn.Wqkv.weight", vec![3 * h, h]),
            ("attn.qk_bias", vec![2, 1, heads, h / heads]),
            ("attn.proj.weight", vec![h, h]),
            ("mlp.fc.weight", vec![2 * inner, h]),
            ("mlp.proj.weight", vec![h, inner]),
        ];
        let matrices = matrices.map(|(name, shape)| (name.to_owned(), shape));
        norms.chain(matrices).map(move |(tensor, shape)| (format!("transformer.{name}.{tensor}"), shape))
    };
    let parts = [("prelude", config.prelude), ("core_block", config.core), ("coda", config.coda)];
    let blocks = parts.into_iter().flat_map(|(part, count)| (0..count).map(move |i| format!("{part}.{i}")));
    let alone = [("wte", vec![vocab_size, h]), ("adapter", vec![h, 2 * h]), ("ln_f", vec![h])];
    let alone = alone.map(|(name, shape)| (format!("transformer.{name}.weight"), shape));
    alone.into_iter().chain(blocks.flat_map(block)).collect()
}

fn gpt2(config: &Gpt2Config) -> Vec<Shape> {
    let Gpt2Config { width: h, inner, vocab_size, context, layers, .. } = *config;
    let mut shapes = vec![
        ("transformer.wte.weight".to_owned(), vec![vocab_size, h]),
        ("transformer.wpe.weight".to_owned(), vec![context, h]),
    ];
    let mut affine = |name: String, shape: Vec<usize>| {
        let bias = shape[shape.len() - 1];
        shapes.push((format!("transformer.{name}.weight"), shape));
        shapes.push((format!("transformer.{name}.bias"), vec![bias]));
    };
    for i in 0..layers {
        affine(format!("h.{i}.ln_1"), vec![h]);
        affine(format!("h.{i}.attn.c_attn"), vec![h, 3 * h]);
        affine(format!("h.{i}.attn.c_proj"), vec![h, h]);
        affine(format!("h.{i}.ln_2"), vec![h]);
        affine(format!("h.{i}.mlp.c_fc"), vec![h, inner]);
        affine(format!("h.{i}.mlp.c_proj"), vec![inner, h]);
    }
    affine("ln_f".into(), vec![h]);
    shapes
}

fn llama(config: &LlamaConfig) -> Vec<Shape> {
    let LlamaConfig { width: h, inner, vocab_size, layers, heads, kv_heads, head_dim, .. } = *config;
    let latent = config.latent_width.unwrap_or(h);
    let mut shapes = vec![
        ("model.embed_tokens.weight".to_owned(), vec![vocab_size, h]),
        ("model.norm.weight".to_owned(), vec![h]),
    ];
    for i in 0..layers {
        let tensors = [
            ("input_layernorm", vec![h]),
            ("self_attn.q_proj", vec![heads * head_dim, h]),
            ("self_attn.k_proj", vec![kv_heads * head_dim, h]),
            ("self_attn.v_proj", vec![kv_heads * head_dim, h]),
            ("self_attn.o_proj", vec![h, heads * head_dim]),
            ("post_attention_layernorm", vec![h]),
            ("mlp.gate_proj", vec![inner, h]),
            ("mlp.up_proj", vec![inner, h]),
            ("mlp.down_proj", vec![h, inner]),
        ];
        let tensors = tensors.map(|(tensor, shape)| (format!("model.layers.{i}.{tensor}.weight"), shape));
        shapes.extend(tensors);
    }
    for (name, shape) in [
        ("fc.0", vec![latent, h]),
        ("fc.2", vec![latent, latent]),
        ("fc.3", vec![latent]),
        ("mean", vec![h, latent]),
    ] {
        shapes.push((format!("lt_head.{name}.bias"), vec![shape[0]]));
        shapes.push((format!("lt_head.{name}.weight"), shape));
    }
    shapes
}
