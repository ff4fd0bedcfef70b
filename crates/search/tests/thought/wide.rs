//! A chain of weights that no core's cache holds, written where it is asked for.

use std::fs;

use fathom::{
    DType, Device,
    random::{Coordinates, Draw, Site, fill_normals},
};
use fathom_model::{folder::Folder, load::Model};
use safetensors::{Dtype, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};

use crate::fixture;

/// Three layers of 12 · 256² weights, each more than 1.5 MB in bf16: a core's cache has 4 MiB.
const WIDTH: usize = 256;
const LAYERS: usize = 3;

/// COCONUT's form of GPT-2 with random weights, otherwise as `coconut-tiny` says.
pub(crate) fn coconut(dtype: DType) -> Model {
    let h = WIDTH;
    let mut config: Value =
        serde_json::from_slice(&fs::read(fixture("coconut-tiny").path_of("config.json")).unwrap()).unwrap();
    config["n_embd"] = json!(h);
    config["n_layer"] = json!(LAYERS);
    let size = |field: &str| config[field].as_u64().unwrap() as usize;
    let tables = [("wte.weight", size("vocab_size")), ("wpe.weight", size("n_positions"))];
    let mut shapes: Vec<(String, Vec<usize>)> =
        tables.map(|(name, rows)| (name.to_owned(), vec![rows, h])).into();
    for layer in 0..LAYERS {
        for norm in ["ln_1", "ln_2"] {
            shapes.extend(["weight", "bias"].map(|part| (format!("h.{layer}.{norm}.{part}"), vec![h])));
        }
        for (name, k, n) in [
            ("attn.c_attn", h, 3 * h),
            ("attn.c_proj", h, h),
            ("mlp.c_fc", h, 4 * h),
            ("mlp.c_proj", 4 * h, h),
        ] {
            shapes.push((format!("h.{layer}.{name}.weight"), vec![k, n]));
            shapes.push((format!("h.{layer}.{name}.bias"), vec![n]));
        }
    }
    shapes.extend(["weight", "bias"].map(|part| (format!("ln_f.{part}"), vec![h])));

    let tensors = shapes.into_iter().zip(0..).map(|((name, shape), position)| {
        let mut values = vec![0.0; shape.iter().product()];
        let draw = Draw { key: 17, trajectory: 0 };
        fill_normals(&mut values, Coordinates { draw, position, iteration: 0 }, Site::State);
        // Products of about the size of their inputs, and norms about 1.
        let (mean, std) =
            if name.contains("ln_") && name.ends_with("weight") { (1.0, 0.1) } else { (0.0, 0.06) };
        let bytes: Vec<u8> = values.iter().flat_map(|x: &f32| (mean + std * x).to_le_bytes()).collect();
        (format!("transformer.{name}"), shape, bytes)
    });
    let tensors: Vec<_> = tensors.collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    serialize_to_file(views, None, &folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    Model::load(&Folder::open(folder.path()).unwrap(), &Device::Cpu, dtype).unwrap()
}
