//! The network, by the rule that the file states.

use std::{collections::BTreeMap, fs, path::Path};

use fathom::{DType, Device, Tensor};
use fathom_model::{
    folder::Folder,
    huginn::Huginn,
    load::{Model, Network},
};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The file.
pub(crate) fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/huginn-golden.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Element j of tensor t: 24 bits of SplitMix64 as a fraction of ±1.
fn unit(t: u64, j: u64) -> f32 {
    let z = (t << 32 | j).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ z >> 31) >> 40) as f32 / 8_388_608.0 - 1.0
}

pub(crate) fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

/// The recorded s_0 of positions from `first` on.
pub(crate) fn given(first: usize, count: usize) -> Tensor {
    let data = (first * 32..(first + count) * 32).map(|j| unit(1000, j as u64) * 0.6).collect();
    Tensor::new(&Device::Cpu, count, 32, data).unwrap()
}

/// Calls `test` with the network and the file.
pub(crate) fn with(test: impl FnOnce(&Huginn, &Value)) {
    let golden = golden();
    let folder = folder(&golden);
    let model = Model::load(&Folder::open(folder.path()).unwrap(), &Device::Cpu, DType::F32).unwrap();
    let Network::Huginn(huginn) = &model.network else { panic!("recurrent") };
    test(huginn, &golden);
}

/// The network as a checkpoint.
fn folder(golden: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
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
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
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
    safetensors::serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    folder
}
