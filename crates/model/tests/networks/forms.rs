//! The same network in other files: upstream names, shards, half precision, repeated heads.

use std::{collections::BTreeMap, fs, path::Path};

use fathom::{DType, Device, random::Draw};
use fathom_model::{
    Error, Result,
    folder::Folder,
    latents::Latent,
    load::{Model, Network},
    perturbation::Perturbation,
    reasoner::{Reasoner, Thought},
};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde_json::{Value, json};

use crate::fixture;

/// A checkpoint's tensors by name.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(name: &str) -> Tensors {
    let bytes = fs::read(fixture(name).join("model.safetensors")).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    all.iter()
        .map(|(name, v)| (name.to_string(), (v.dtype(), v.shape().to_vec(), v.data().to_vec())))
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(n, (t, s, d))| (n.clone(), TensorView::new(*t, s.clone(), d).unwrap()));
    fs::write(path, serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
}

/// A folder of `name`'s config, changed, with these tensors.
fn folder(name: &str, tensors: &Tensors, config: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut json: Value =
        serde_json::from_slice(&fs::read(fixture(name).join("config.json")).unwrap()).unwrap();
    config(&mut json);
    fs::write(folder.path().join("config.json"), json.to_string()).unwrap();
    write(&folder.path().join("model.safetensors"), tensors);
    folder
}

fn load(path: &Path, dtype: DType) -> Result<Model> {
    Model::load(&Folder::open(path).unwrap(), &Device::Cpu, dtype)
}

/// What a network thinks and answers, deterministically.
fn thought(model: &Model) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
    fn of<R: Reasoner>(reasoner: &R) -> (Vec<Vec<f32>>, Vec<Vec<u32>>) {
        let draws = [Draw { key: 1, trajectory: 0 }];
        let mut thoughts = reasoner.prefill(&[5, 9, 60, 31], 3, &draws, 0, Perturbation::None).unwrap();
        for _ in 0..2 {
            let branch =
                fathom_model::reasoner::Branch { thought: thoughts.remove(0), draws: draws.to_vec() };
            thoughts = reasoner.step(vec![branch], Perturbation::None).unwrap().remove(0);
        }
        let latents = Latent::to_rows(thoughts[0].latents()).unwrap();
        (latents, reasoner.read_out(thoughts, 5, Perturbation::None).unwrap())
    }
    match &model.network {
        Network::Chain(chain) => of(chain),
        Network::Huginn(huginn) => of(huginn),
    }
}

#[test]
fn upstream_names_of_codis_projector() {
    let plain = thought(&load(&fixture("codi-tiny"), DType::F32).unwrap());
    let renames = [("projector.1.", "prj.1."), ("projector.3.", "prj.3."), ("projector.4.", "prj.ln.")];
    let renamed = tensors("codi-tiny").into_iter().map(|(name, tensor)| {
        let rename = renames.iter().find(|(from, _)| name.starts_with(from));
        (rename.map_or(name.clone(), |(from, to)| name.replace(from, to)), tensor)
    });
    let renamed: Tensors = renamed.collect();
    assert!(renamed.contains_key("prj.ln.weight"));
    for says in [true, false] {
        let folder = folder("codi-tiny", &renamed, |config| config["projector"] = json!(says));
        assert_eq!(thought(&load(folder.path(), DType::F32).unwrap()), plain, "config.projector = {says}");
    }
}

#[test]
fn a_missing_projector_is_an_error() {
    let kept = tensors("codi-tiny").into_iter().filter(|(name, _)| !name.starts_with("projector"));
    let kept: Tensors = kept.collect();
    let says_so = |config: &mut Value| {
        if let Some(fields) = config.as_object_mut() {
            fields.remove("projector_hidden_size");
        }
    };
    for folder in [folder("codi-tiny", &kept, |_| {}), folder("codi-tiny", &kept, says_so)] {
        let error = load(folder.path(), DType::F32).map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, Error::MissingTensor { tensor, .. } if tensor.contains("projector")),
            "{error}"
        );
    }
}

#[test]
fn shards_with_an_index() {
    let plain = thought(&load(&fixture("colar-tiny"), DType::F32).unwrap());
    let all = tensors("colar-tiny");
    let folder = folder("colar-tiny", &all, |_| {});
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let mut map = serde_json::Map::new();
    for part in 0..3 {
        let file = format!("model-{:05}-of-00003.safetensors", part + 1);
        let some: Tensors =
            all.clone().into_iter().enumerate().filter(|(i, _)| i % 3 == part).map(|(_, t)| t).collect();
        map.extend(some.keys().map(|name| (name.clone(), json!(file))));
        write(&folder.path().join(file), &some);
    }
    let index = json!({ "metadata": {}, "weight_map": map }).to_string();
    fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
    assert_eq!(thought(&load(folder.path(), DType::F32).unwrap()), plain);
}

/// Weights stored in 16 bits are those that the same rounding gives, whatever they are computed in.
#[test]
fn half_precision_files() {
    for (stored, round) in [
        (Dtype::F16, (|x| f16::from_f32(x).to_f32()) as fn(f32) -> f32),
        (Dtype::BF16, |x| bf16::from_f32(x).to_f32()),
    ] {
        let floats =
            |data: &[u8]| -> Vec<f32> { data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect() };
        let bytes = |x: f32| match stored {
            Dtype::F16 => f16::from_f32(x).to_le_bytes(),
            _ => bf16::from_f32(x).to_le_bytes(),
        };
        let (mut half, mut rounded) = (tensors("huginn-tiny"), tensors("huginn-tiny"));
        for (dtype, _, data) in half.values_mut() {
            *dtype = stored;
            *data = floats(data).into_iter().flat_map(bytes).collect();
        }
        for (_, _, data) in rounded.values_mut() {
            *data = floats(data).into_iter().flat_map(|x| round(x).to_le_bytes()).collect();
        }
        let half = folder("huginn-tiny", &half, |_| {});
        let rounded = folder("huginn-tiny", &rounded, |_| {});
        for dtype in [DType::F32, DType::Bf16] {
            let of = |path: &Path| thought(&load(path, dtype).unwrap());
            assert_eq!(of(half.path()), of(rounded.path()), "{stored:?} in {dtype}");
        }
    }
}

#[test]
fn a_repeated_head_has_to_equal_the_embedding() {
    for (name, table) in [
        ("coconut-tiny", "transformer.wte.weight"),
        ("huginn-tiny", "transformer.wte.weight"),
        ("colar-tiny", "model.embed_tokens.weight"),
    ] {
        let plain = thought(&load(&fixture(name), DType::F32).unwrap());
        let mut all = tensors(name);
        all.insert("lm_head.weight".into(), all[table].clone());
        assert_eq!(thought(&load(folder(name, &all, |_| {}).path(), DType::F32).unwrap()), plain, "{name}");
        if let Some((_, _, data)) = all.get_mut("lm_head.weight") {
            data[0] ^= 1;
        }
        let error = load(folder(name, &all, |_| {}).path(), DType::F32).map(|_| ()).unwrap_err();
        assert!(
            matches!(&error, Error::LeftOver { tensors, .. } if tensors == &["lm_head.weight"]),
            "{name}: {error}"
        );
    }
}

/// Known buffers are accepted, anything else left over is named.
#[test]
fn buffers_and_strangers() {
    let mut all = tensors("coconut-tiny");
    all.insert("transformer.h.0.attn.bias".into(), (Dtype::U8, vec![4], vec![1; 4]));
    all.insert("transformer.h.1.attn.masked_bias".into(), (Dtype::F32, vec![1], vec![0; 4]));
    assert!(load(folder("coconut-tiny", &all, |_| {}).path(), DType::F32).is_ok());
    all.insert("transformer.h.7.ln_1.weight".into(), (Dtype::F32, vec![1], vec![0; 4]));
    let error = load(folder("coconut-tiny", &all, |_| {}).path(), DType::F32).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("transformer.h.7.ln_1.weight"), "{error}");
}
