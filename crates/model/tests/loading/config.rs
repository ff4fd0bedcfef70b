//! Configurations: what published files say, and how each kind of defect is told.

use crate::common::{assert_names, folder, repository};
use fathom_model::config::{Config, GenerationDefaults, SpecialIds};
use fathom_model::folder::Folder;
use fathom_model::tokenizer::Tokenizer;
use proptest::prelude::*;
use serde_json::{Value, json};

const FILE: &str = "config.json";
const GENERATION: &str = "generation_config.json";

fn at(path: &str) -> Folder {
    Folder::open(repository(path)).expect("it is in the repository")
}

fn text(path: &str) -> Value {
    let bytes = at(path).require(FILE).expect("it has a configuration");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The fixture's configuration with changes; null takes a field out.
fn changed(path: &str, changes: Value) -> fathom_model::Result<Config> {
    let mut json = text(path);
    for (key, value) in changes.as_object().expect("an object of changes") {
        json[key] = value.clone();
    }
    let (_place, folder) = folder(&[(FILE, json.to_string().as_bytes())]);
    Config::read(&folder)
}

const GPT2: &str = "tests/fixtures/coconut-tiny";
const LLAMA: &str = "tests/fixtures/colar-tiny";
const HUGINN: &str = "tests/fixtures/huginn-tiny";

#[test]
fn every_fixture_parses() {
    let mut read = 0;
    for body in ["coconut-tiny", "codi-tiny", "colar-tiny", "huginn-tiny", "huginn-hd96"] {
        let folder = at(&format!("tests/fixtures/{body}"));
        let config = Config::read(&folder).expect(body);
        let family = match config {
            Config::Gpt2(_) => "co",
            Config::Llama(_) => "colar",
            Config::Huginn(_) => "huginn",
        };
        assert!(body.starts_with(family), "{body}: {config:?}");
        if let Some(reward) = folder.subfolder("latent_rm") {
            Config::read(&reward).expect(body);
            read += 1;
        }
    }
    assert_eq!(read, 3);
    Config::read(&at("models/abacus-coconut")).expect("the bundled model");
}

#[test]
fn gpt2_fields() {
    let Config::Gpt2(config) = Config::read(&at("tests/fixtures/codi-tiny")).expect("CODI") else {
        panic!("not GPT-2")
    };
    let sizes = (config.vocab_size, config.width, config.layers, config.heads, config.inner, config.context);
    assert_eq!(sizes, (200, 64, 2, 4, 256, 128));
    assert_eq!((config.norm_eps, config.projector_width), (1e-5, Some(96)));
    assert_eq!(
        config.ids,
        SpecialIds {
            bos: Some(196),
            eos: vec![196],
            pad: Some(196),
            latent: Some(199),
            latent_start: Some(197),
            latent_end: Some(198)
        }
    );
    let Config::Gpt2(plain) = Config::read(&at(GPT2)).expect("COCONUT") else { panic!("not GPT-2") };
    assert_eq!(plain.projector_width, None);
}

#[test]
fn llama_fields() {
    let Config::Llama(config) = Config::read(&at(LLAMA)).expect("CoLaR") else { panic!("not Llama") };
    let sizes = (config.width, config.layers, config.heads, config.kv_heads, config.head_dim, config.inner);
    assert_eq!(sizes, (64, 2, 4, 2, 16, 160));
    assert_eq!((config.context, config.norm_eps, config.rope_theta), (256, 1e-5, 5e5));
    let scaling = config.rope_scaling.expect("llama3");
    assert_eq!((scaling.factor, scaling.low_freq_factor, scaling.high_freq_factor), (32.0, 1.0, 4.0));
    assert_eq!(scaling.original_context, 64.0);
    assert_eq!((config.tied, config.latent_width, config.latent_embedding_std), (true, Some(80), 0.5));
    // -1 in the file.
    assert_eq!(config.ids.latent_start, None);

    let bare = json!({"rope_scaling": null, "head_dim": null, "num_key_value_heads": null, "model_type": null,
        "latent_embedding_std": null, "latent_intermediate_size": -1, "eos_token_id": [5, 6]});
    let Config::Llama(config) = changed(LLAMA, bare).expect("defaults") else { panic!("not Llama") };
    assert_eq!((config.rope_scaling, config.head_dim, config.kv_heads), (None, 16, 4));
    assert_eq!((config.latent_embedding_std, config.latent_width), (0.018, None));
    assert_eq!(config.ids.eos, [5, 6]);
}

#[test]
fn huginn_fields() {
    let Config::Huginn(config) = Config::read(&at("tests/fixtures/huginn-hd96")).expect("Huginn") else {
        panic!("not Huginn")
    };
    let sizes =
        (config.vocab_size, config.width, config.heads, config.kv_heads, config.inner, config.context);
    assert_eq!(sizes, (128, 192, 2, 2, 128, 128));
    assert_eq!((config.prelude, config.core, config.coda, config.mean_recurrence), (1, 2, 1, 8));
    assert_eq!((config.norm_eps, config.rope_base, config.qk_bias, config.tied), (1e-6, 5e4, true, false));
    assert_eq!(config.ids, SpecialIds::default());

    // The published 3.5B model: h = 5280, σ = √(2/5h) = 0.0087038828, √h = 72.66360850 (spec huginn §1.1, §1.7).
    let published = json!({"n_embd": 5280, "n_heads": 55, "num_attention_heads": null, "num_key_value_heads": 55,
        "head_dim": 96, "vocab_size": 65000, "padded_vocab_size": 65536, "eos_token_id": 65505,
        "init_values": {"std": 0.0087, "embed_scale": 72.6636084983398}});
    let Config::Huginn(config) = changed(HUGINN, published).expect("published") else { panic!("not Huginn") };
    assert_eq!((config.vocab_size, config.heads, config.embed_scale), (65536, 55, 5280f32.sqrt()));
    // The ten digits quoted are exact to 5e-13; rounding to f32 adds half a unit of its last place, 4.7e-10.
    assert!((f64::from(config.init_std) - 0.008_703_882_8).abs() < 5e-10);
    let retrofitted = json!({"init_values": {"embed_scale": 1.0}});
    let Config::Huginn(config) = changed(HUGINN, retrofitted).expect("retrofitted") else {
        panic!("not Huginn")
    };
    assert_eq!((config.embed_scale, config.iterations), (1.0, 1));
    let Config::Huginn(config) = changed(HUGINN, json!({"iterations": 3})).expect("a reward model's") else {
        panic!("not Huginn")
    };
    assert_eq!(config.iterations, 3);
}

#[test]
fn malformed_files() {
    let (_place, none) = folder(&[]);
    assert_names(Config::read(&none), &[FILE, "no such file"]);
    for bytes in [&b""[..], b"{", b"[1]", b"\xff\xfe", b"null"] {
        let (_place, folder) = folder(&[(FILE, bytes)]);
        assert_names(Config::read(&folder), &[FILE, "JSON"]);
    }
    let (_place, folder) = folder(&[(FILE, b"{}")]);
    assert_names(Config::read(&folder), &[FILE, "model_type"]);
}

#[test]
fn impossible_fields() {
    let cases = [
        (GPT2, json!({"model_type": "mamba"}), &["model_type", "mamba"][..]),
        (GPT2, json!({"model_type": 3}), &["model_type", "3"]),
        (GPT2, json!({"model_type": null, "architectures": ["Other"]}), &["architectures"]),
        (GPT2, json!({"model_type": null, "architectures": "GPT2"}), &["architectures", "not a list"]),
        (GPT2, json!({"n_embd": null}), &["n_embd", "missing"]),
        (GPT2, json!({"n_embd": "64"}), &["n_embd", "\"64\""]),
        (GPT2, json!({"n_embd": 64.5}), &["n_embd", "64.5"]),
        (GPT2, json!({"n_layer": 0}), &["n_layer", "0"]),
        (GPT2, json!({"n_layer": -3}), &["n_layer", "-3"]),
        (GPT2, json!({"n_positions": 1u64 << 40}), &["n_positions", "above"]),
        (GPT2, json!({"n_head": 5}), &["n_head", "5", "64"]),
        (GPT2, json!({"layer_norm_epsilon": 0.0}), &["layer_norm_epsilon", "above 0"]),
        (GPT2, json!({"layer_norm_epsilon": 1e39}), &["layer_norm_epsilon", "finite"]),
        (GPT2, json!({"activation_function": "relu"}), &["activation_function", "relu"]),
        (GPT2, json!({"scale_attn_weights": false}), &["scale_attn_weights"]),
        (GPT2, json!({"scale_attn_by_inverse_layer_idx": true}), &["scale_attn_by_inverse_layer_idx"]),
        (GPT2, json!({"add_cross_attention": true}), &["add_cross_attention"]),
        (GPT2, json!({"latent_id": 200}), &["latent_id", "200"]),
        (GPT2, json!({"latent_id": -2}), &["latent_id", "-2"]),
        (GPT2, json!({"eos_token_id": [196, "x"]}), &["eos_token_id", "x"]),
        (LLAMA, json!({"num_key_value_heads": 3}), &["num_key_value_heads", "3"]),
        (LLAMA, json!({"head_dim": 15}), &["head_dim", "15"]),
        (LLAMA, json!({"hidden_act": "gelu"}), &["hidden_act", "gelu"]),
        (LLAMA, json!({"attention_bias": true}), &["attention_bias"]),
        (LLAMA, json!({"mlp_bias": 1}), &["mlp_bias", "1"]),
        (LLAMA, json!({"rope_theta": -1.0}), &["rope_theta", "-1"]),
        (LLAMA, json!({"rope_scaling": {"rope_type": "yarn"}}), &["rope_scaling.rope_type", "yarn"]),
        (LLAMA, json!({"rope_scaling": {"rope_type": "llama3"}}), &["rope_scaling.factor", "missing"]),
        (LLAMA, json!({"rope_scaling": 2}), &["rope_scaling", "2"]),
        (HUGINN, json!({"num_attention_heads": 3}), &["num_attention_heads", "3", "64"]),
        (HUGINN, json!({"head_dim": 16}), &["head_dim", "32"]),
        (HUGINN, json!({"n_layers_in_recurrent_block": 0}), &["n_layers_in_recurrent_block"]),
        (HUGINN, json!({"n_layers_in_coda": null}), &["n_layers_in_coda", "missing"]),
        (HUGINN, json!({"injection_type": "add"}), &["injection_type", "add"]),
        (HUGINN, json!({"block_class_name": "PreNorm"}), &["block_class_name", "PreNorm"]),
        (HUGINN, json!({"norm_class_name": "LayerNorm"}), &["norm_class_name", "LayerNorm"]),
        (HUGINN, json!({"nonlin_name": "ReLU"}), &["nonlin_name", "ReLU"]),
        (HUGINN, json!({"mlp_class_name": "MLP"}), &["mlp_class_name", "MLP"]),
        (HUGINN, json!({"state_init": "zero"}), &["state_init", "zero"]),
        (HUGINN, json!({"bias": true}), &["bias"]),
        (HUGINN, json!({"iterations": 0}), &["iterations", "0"]),
        (HUGINN, json!({"init_values": {"embed_scale": 0}}), &["init_values.embed_scale"]),
    ];
    for (path, changes, culprits) in cases {
        assert_names(changed(path, changes), &[&[FILE], culprits].concat());
    }
    let odd = json!({"n_embd": 6, "num_attention_heads": 2, "num_key_value_heads": 2});
    assert_names(changed(HUGINN, odd), &["num_attention_heads", "odd"]);
}

#[test]
fn generation_defaults() {
    let read = |json: &str| {
        let (_place, folder) = folder(&[(GENERATION, json.as_bytes())]);
        GenerationDefaults::read(&folder)
    };
    let bundled = GenerationDefaults::read(&at("models/abacus-coconut")).expect("the bundled model's");
    let expected = GenerationDefaults {
        latent_length: Some(3),
        dropout_p: Some(0.05),
        noise_std: Some(0.3),
        max_new_tokens: Some(24),
        eos: vec![0],
    };
    assert_eq!(bundled, expected);
    assert_eq!(GenerationDefaults::read(&at(GPT2)).expect("none"), GenerationDefaults::default());
    assert_eq!(read(r#"{"eos_token_id": [65505, 65508]}"#).expect("a list").eos, [65505, 65508]);
    assert_names(read(r#"{"dropout_p": 1.0}"#), &[GENERATION, "dropout_p"]);
    assert_names(read(r#"{"noise_std": -0.5}"#), &[GENERATION, "noise_std"]);
    assert_names(read(r#"{"latent_length": "six"}"#), &[GENERATION, "latent_length", "six"]);
    assert_names(read(r#"{"max_new_tokens": 0}"#), &[GENERATION, "max_new_tokens"]);
}

#[test]
fn special_ids_go_by_text_first() {
    let folder_ = at("models/abacus-coconut");
    let tokenizer = Tokenizer::read(&folder_).expect("a good file").expect("a tokenizer");
    let none = GenerationDefaults::default();
    let with_ids = |changes: Value| changed("models/abacus-coconut", changes).expect("a good configuration");
    let wrong =
        with_ids(json!({"latent_id": 1, "latent_start_id": 2, "latent_end_id": -1, "eos_token_id": null}));
    let more = GenerationDefaults { eos: vec![7, 0, 7], ..none.clone() };
    let ids = SpecialIds::resolve(&wrong, &more, Some(&tokenizer), FILE).expect("all are in the tokenizer");
    assert_eq!((ids.latent_start, ids.latent_end, ids.latent), (Some(72), Some(73), Some(74)));
    assert_eq!(ids.eos, [0, 7]);

    let same =
        SpecialIds::resolve(&with_ids(json!({})), &none, None, FILE).expect("all are in the configuration");
    assert_eq!((same.latent_start, same.latent_end, same.latent), (Some(72), Some(73), Some(74)));

    assert_names(SpecialIds::resolve(&wrong, &none, None, FILE), &[FILE, "<|end-latent|>"]);
    let far = GenerationDefaults { eos: vec![80], ..none.clone() };
    assert_names(SpecialIds::resolve(&wrong, &far, Some(&tokenizer), FILE), &["eos_token_id", "80"]);
    let short = with_ids(json!({"vocab_size": 73, "latent_id": 1, "latent_end_id": 2}));
    assert_names(SpecialIds::resolve(&short, &none, Some(&tokenizer), FILE), &["tokenizer.json", "73"]);
    let llama = changed(LLAMA, json!({"latent_end_id": -1})).expect("a good configuration");
    assert_names(SpecialIds::resolve(&llama, &none, Some(&tokenizer), FILE), &["tokenizer.json", "\"###\""]);

    let huginn =
        changed(HUGINN, json!({"vocab_size": 65536, "bos_token_id": 65504})).expect("a good configuration");
    let tokenizer = Tokenizer::read(&at("tests/fixtures/huginn-tokenizer")).expect("a good file");
    let ids = SpecialIds::resolve(&huginn, &none, tokenizer.as_ref(), FILE).expect("nothing is needed");
    assert_eq!((ids.bos, ids.eos), (Some(65504), vec![65504, 65505, 65508]));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (_place, folder) = folder(&[(FILE, &bytes), (GENERATION, &bytes)]);
        prop_assert!(Config::read(&folder).is_err());
        prop_assert!(GenerationDefaults::read(&folder).is_err());
    }

    #[test]
    fn no_value_panics(path in prop::sample::select(vec![GPT2, LLAMA, HUGINN]), field: prop::sample::Index, value in value()) {
        let json = text(path);
        let keys: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
        let key = &keys[field.index(keys.len())];
        if let Err(error) = changed(path, json!({key: value})) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from)];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<f64>().prop_map(Value::from),
        (-3i64..300).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z_]{0,12}", inner, 0..4).prop_map(|map| map.into_iter().collect())
        ]
    })
}
