//! `fathom parity` on recordings of the published implementations, whole and damaged.

use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::binary::{copy, fathom, refusal, repository, succeed, text};
use crate::tensors::{Stored, Tensors, change};

const FOLDERS: [&str; 5] = ["coconut-tiny", "codi-tiny", "colar-tiny", "huginn-tiny", "huginn-hd96"];

fn fixture(name: &str) -> std::path::PathBuf {
    repository("tests/fixtures").join(name)
}

/// Inputs.
fn is_skipped(name: &str) -> bool {
    let inputs =
        ["input_ids", "attention_mask", "s0", "labels", "rm.input_ids", "rm.latent_embeds", "rm.estimations"];
    inputs.contains(&name) || name.contains(".mask.") || name == "agn.noise_per_latent_step"
}

#[test]
fn every_recording_agrees() {
    FOLDERS.iter().for_each(|name| agrees(name, "cpu"));
}

#[test]
fn every_recording_agrees_on_the_emulated_gpu() {
    FOLDERS.iter().for_each(|name| agrees(name, "emulated"));
}

fn agrees(name: &str, device: &str) {
    let folder = fixture(name);
    let printed = succeed(&["parity", &text(&folder), "--json", "--device", device]);
    let parity: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(parity["passed"], true, "{name}");
    let lines = parity["tensors"].as_array().unwrap();
    let names: Vec<&str> = lines.iter().map(|line| line["name"].as_str().unwrap()).collect();
    let recorded = Tensors::read(&folder.join("reference.safetensors"));
    assert_eq!(names, recorded.0.keys().collect::<Vec<_>>(), "{name}: a line each");
    for line in lines {
        let tensor = line["name"].as_str().unwrap();
        let expected = if is_skipped(tensor) { "skip" } else { "pass" };
        assert_eq!(line["verdict"], expected, "{name}: {line}");
        assert_eq!(line["max_abs_error"].is_null(), expected == "skip", "{name}: {line}");
    }
}

/// What `parity` prints about a fixture once `harm` was at its reference, with exit code 1 and nothing on standard
/// error: the lines that fail.
fn failures(name: &str, harm: impl FnOnce(&mut Tensors)) -> Vec<String> {
    let folder = tempdir().unwrap();
    copy(&fixture(name), folder.path());
    change(&folder.path().join("reference.safetensors"), harm);
    let output = fathom(&["parity", &text(folder.path())]);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.ends_with("fail")).map(str::to_owned).collect()
}

#[test]
fn a_tensor_that_nobody_knows_fails() {
    for name in ["coconut-tiny", "huginn-tiny"] {
        let failed = failures(name, |tensors| {
            tensors.0.insert("mystery".into(), Stored::floats(&[1], [0.0]));
        });
        assert!(matches!(failed.as_slice(), [line] if line.starts_with("mystery ")), "{failed:?}");
    }
}

#[test]
fn a_value_that_differs_fails_alone() {
    for (name, tensor) in
        [("codi-tiny", "agn.logits"), ("coconut-tiny", "rm.token_scores"), ("huginn-tiny", "logits_r4")]
    {
        let failed = failures(name, |tensors| {
            let stored = tensors.get(tensor);
            let old = stored.replace(3, 0.0);
            // Ten times the tolerance on logits and scores of this size.
            stored.replace(3, old + 1e-3 * (1.0 + old.abs()));
        });
        assert!(matches!(failed.as_slice(), [line] if line.starts_with(tensor)), "{failed:?}");
    }
}

#[test]
fn a_value_that_is_not_a_number_fails_alone() {
    for (name, tensor) in [("coconut-tiny", "dropout.logits"), ("huginn-tiny", "exit_kl")] {
        let failed = failures(name, |tensors| {
            tensors.get(tensor).replace(3, f32::NAN);
        });
        assert!(matches!(failed.as_slice(), [line] if line.starts_with(tensor)), "{failed:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_compared_is_named() {
    let bundled = text(&repository("models/abacus-coconut"));
    assert!(refusal(&["parity", &bundled]).contains("reference.safetensors"));
    let folder = tempdir().unwrap();
    copy(&fixture("coconut-tiny"), folder.path());
    let harm = |harm: &dyn Fn(&Path)| {
        harm(&folder.path().join("reference.safetensors"));
        refusal(&["parity", &text(folder.path())])
    };
    let error = harm(&|path| {
        change(path, |tensors| {
            tensors.0.remove("input_ids");
        });
    });
    assert!(error.contains("input_ids"), "{error}");
    let error = harm(&|path| std::fs::write(path, "short").unwrap());
    assert!(error.contains("reference.safetensors"), "{error}");
}
