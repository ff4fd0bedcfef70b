//! Losses and gradients that the published code computed for one tiny network (`tests/fixtures/huginn-golden.json`).
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::{collections::BTreeMap, fs, path::Path};

use fathom::{Device, Tensor};
use fathom_model::{checkpoint::Checkpoint, config::Config, folder::Folder};
use fathom_train::objective::recurrence::{Examples, Iterations, RecurrentDepth};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

/// Element j of tensor t: 24 bits of SplitMix64 as a fraction of ±1.
fn unit(t: u64, j: u64) -> f32 {
    let z = (t << 32 | j).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ z >> 31) >> 40) as f32 / 8_388_608.0 - 1.0
}

/// The network as a checkpoint, by the rule that the file states.
fn write(golden: &Value, folder: &Path) {
    let shape = &golden["config"];
    let config = json!({
        "architectures": ["RavenForCausalLM"], "model_type": "huginn_raven", "injection_type": "linear",
        "block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama", "nonlin_name": "SiLU",
        "mlp_class_name": "GatedMLP", "state_init": "like-init", "bias": false, "qk_bias": true, "tie_embeddings": true,
        "n_embd": shape["n_embd"], "n_heads": shape["n_heads"], "intermediate_size": shape["intermediate_size"],
        "vocab_size": shape["vocab"], "padded_vocab_size": shape["vocab"], "block_size": shape["block_size"],
        "n_layers_in_prelude": shape["layers"][0], "n_layers_in_recurrent_block": shape["layers"][1],
        "n_layers_in_coda": shape["layers"][2], "mean_recurrence": shape["mean_recurrence"],
        "rope_base": shape["rope_base"], "norm_eps": shape["norm_eps"]
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for tensor in golden["tensors"].as_array().unwrap() {
        let extents: Vec<usize> =
            tensor["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let part = |key: &str| tensor[key].as_f64().unwrap() as f32;
        let (scale, offset, t) = (part("scale"), part("offset"), tensor["t"].as_u64().unwrap());
        let values = (0..extents.iter().product::<usize>()).map(|j| unit(t, j as u64) * scale + offset);
        let bytes = values.flat_map(f32::to_le_bytes).collect();
        tensors.insert(tensor["name"].as_str().unwrap().to_owned(), (extents, bytes));
    }
    let views = tensors.iter().map(|(name, (extents, bytes))| {
        (name.as_str(), TensorView::new(Dtype::F32, extents.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors")).unwrap();
}

/// Tolerances of `tests/fixtures/README.md`: 2e-5 for losses, 1e-3 of its norm and 1e-5 for a gradient.
#[test]
fn losses_and_gradients() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/huginn-golden.json");
    let golden: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let place = tempfile::tempdir().unwrap();
    write(&golden, place.path());
    let folder = Folder::open(place.path()).unwrap();
    let Config::Huginn(config) = Config::read(&folder).unwrap() else { panic!("recurrent") };
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let model = RecurrentDepth::load(&config, &checkpoint, &Device::Cpu).unwrap();
    let ids: Vec<u32> =
        golden["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    let targets: Vec<Option<u32>> = ids[1..].iter().map(|&id| Some(id)).chain([None]).collect();
    for (without, with) in [(2, 3), (0, 3), (0, 1)] {
        let name = format!("train_n{without}_k{with}");
        let expected = &golden["cases"][&name];
        let states = (0..ids.len() * 32).map(|j| unit(1000, j as u64) * 0.6).collect();
        let initial = Tensor::new(&Device::Cpu, ids.len(), 32, states).unwrap();
        let mut gradients = model.parameters().gradients().unwrap();
        let examples = Examples { tokens: &[&ids], targets: &targets, initial };
        let loss = model.loss(examples, Iterations { without, with }, Some(&mut gradients)).unwrap();
        let recorded = expected["loss"].as_f64().unwrap();
        assert!((loss - recorded).abs() <= 2e-5 * recorded, "{name}: {loss} for {recorded}");
        let mut seen = 0;
        for id in model.parameters().ids() {
            let key = model.parameters().name(id);
            let Some(norm) = expected["grad_norms"][key].as_f64() else { panic!("{name}: no {key}") };
            let gradient = gradients[id].data();
            let found = gradient.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let allowed = 1e-3 * norm + 1e-5;
            assert!((found - norm).abs() <= allowed, "{name} {key}: {found} for {norm}");
            for (got, first) in gradient.iter().zip(expected["grad_first4"][key].as_array().unwrap()) {
                let first = first.as_f64().unwrap();
                assert!((f64::from(*got) - first).abs() <= allowed, "{name} {key}: {got} for {first}");
            }
            seen += 1;
        }
        assert_eq!(seen, expected["grad_norms"].as_object().unwrap().len(), "{name}");
    }
}
