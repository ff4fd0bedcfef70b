//! The folders under `tests/fixtures` hold outputs of the published implementations.

use std::{fs, path::Path};

use fathom::Device;
use fathom_model::{
    folder::Folder,
    parity::{Line, Verdict, run},
};
use safetensors::{SafeTensors, serialize, tensor::TensorView};

use crate::{devices, fixture};

fn lines(path: &Path) -> Vec<Line> {
    run(&Folder::open(path).unwrap(), &Device::Cpu).unwrap()
}

/// Every recorded output agrees on `device`; what is skipped is an input or belongs to training.
fn agrees(device: &Device, name: &str, compared: usize) {
    let lines = run(&Folder::open(fixture(name)).unwrap(), device).unwrap();
    let off: Vec<_> =
        lines.iter().filter(|l| matches!(l.verdict, Verdict::Fail | Verdict::Unknown)).collect();
    assert!(off.is_empty(), "{device} {name}: {off:#?}");
    assert_eq!(lines.iter().filter(|l| l.verdict == Verdict::Pass).count(), compared, "{device} {name}");
}

#[test]
fn coconut_agrees() {
    devices().iter().for_each(|device| agrees(device, "coconut-tiny", 14));
}

#[test]
fn codi_agrees() {
    devices().iter().for_each(|device| agrees(device, "codi-tiny", 14));
}

#[test]
fn colar_agrees() {
    devices().iter().for_each(|device| agrees(device, "colar-tiny", 14));
}

#[test]
fn huginn_agrees() {
    devices().iter().for_each(|device| agrees(device, "huginn-tiny", 30));
}

#[test]
fn huginn_with_heads_of_96_agrees() {
    devices().iter().for_each(|device| agrees(device, "huginn-hd96", 27));
}

/// A copy of a fixture whose reference was changed by `change`, which sees each tensor's name and bytes.
fn tampered(name: &str, change: impl Fn(&str, &mut Vec<u8>)) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture(name).join(file), copy.path().join(file)).unwrap();
    }
    let bytes = fs::read(fixture(name).join("reference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<(String, Vec<usize>, safetensors::Dtype, Vec<u8>)> = Vec::new();
    for (name, view) in tensors.iter() {
        let mut data = view.data().to_vec();
        change(name, &mut data);
        all.push((name.into(), view.shape().to_vec(), view.dtype(), data));
    }
    let views = all.iter().map(|(name, shape, dtype, data)| {
        (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    fs::write(copy.path().join("reference.safetensors"), serialize(views.collect::<Vec<_>>(), None).unwrap())
        .unwrap();
    copy
}

/// One element off, by a value or by a NaN, fails its tensor and no other.
#[test]
fn a_changed_element_fails() {
    for value in [1e3f32, f32::NAN] {
        let folder = tampered("huginn-hd96", |name, data| {
            if name == "logits_r4" {
                data[40..44].copy_from_slice(&value.to_le_bytes());
            }
        });
        let failed: Vec<_> =
            lines(folder.path()).into_iter().filter(|l| l.verdict == Verdict::Fail).collect();
        assert_eq!(failed.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["logits_r4"]);
    }
}

/// The depth, the strategy and the steps are read from the names, not known beforehand.
#[test]
fn other_depths_are_computed_as_named() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(fixture("huginn-hd96").join(file), folder.path().join(file)).unwrap();
    }
    let bytes = fs::read(fixture("huginn-hd96").join("reference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let view = |name: &str| tensors.tensor(name).unwrap();
    let named = [
        ("input_ids", "input_ids"),
        ("s0", "s0"),
        // What r = 4 gives is not what r = 3 gives, and an iteration later is another state.
        ("logits_r4", "logits_r3"),
        ("state_after_step2", "state_after_step3"),
        ("cached_decode_logits_r4", "cached_decode_logits_r5"),
        ("head_r2", "head_of_r2"),
        ("exit_kl", "exit_unheard-of"),
    ];
    let views = named.map(|(from, to)| (to.to_string(), view(from)));
    fs::write(folder.path().join("reference.safetensors"), serialize(views, None).unwrap()).unwrap();
    let verdicts: Vec<_> = lines(folder.path()).into_iter().map(|l| (l.name, l.verdict)).collect();
    let expected = [
        ("cached_decode_logits_r5", Verdict::Fail),
        ("exit_unheard-of", Verdict::Unknown),
        ("head_of_r2", Verdict::Unknown),
        ("input_ids", Verdict::Skip),
        ("logits_r3", Verdict::Fail),
        ("s0", Verdict::Skip),
        ("state_after_step3", Verdict::Fail),
    ];
    assert_eq!(verdicts, expected.map(|(name, verdict)| (name.to_string(), verdict)));
}
