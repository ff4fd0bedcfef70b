//! `fathom trace`: states as data and as pictures, of both families.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::binary::{abacus, copy, refusal, repository, succeed, text};

const QUESTION: &str = "Ann has 7 books. Ann buys 5 books. how many books does Ann have now?";

fn model(name: &str) -> String {
    text(&repository(&format!("models/{name}")))
}

fn summary(out: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(out.join("trace.json")).unwrap()).unwrap()
}

/// Names and shapes of what was recorded.
fn shapes(out: &Path) -> BTreeMap<String, Vec<usize>> {
    let bytes = fs::read(out.join("trace.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, tensor)| (name, tensor.shape().to_vec())).collect()
}

/// The pictures of a folder; each is there as SVG and as PNG.
fn pictures(out: &Path) -> Vec<String> {
    let all = ["convergence", "planes", "independence", "spread", "rewards"].map(str::to_owned);
    let there = |name: &String, ending: &str| out.join(format!("{name}.{ending}")).exists();
    assert!(all.iter().all(|name| there(name, "svg") == there(name, "png")));
    all.into_iter().filter(|name| there(name, "svg")).collect()
}

#[test]
fn tokens_of_recurrent_depth_come_to_rest_from_anywhere() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let options = ["--steps", "24", "--trajectories", "4", "--dropout", "0.2", "--seed", "3"];
    let run = |out: &Path, more: &[&str]| {
        let fixed = ["trace", "--model", &model("tally-depth"), "--prompt", QUESTION, "--out", &text(out)];
        succeed(&[&fixed[..], &options, more].concat())
    };
    let told = run(&out, &[]);
    assert!(told.contains("question 0: 12") && told.contains("dropout p = 0.2"), "{told}");
    assert_eq!(pictures(&out), ["convergence", "planes", "independence", "spread"]);

    let found = summary(&out);
    let tracks = found["questions"][0]["tracks"].as_array().unwrap();
    let labels: Vec<&str> = tracks.iter().map(|track| track["label"].as_str().unwrap()).collect();
    assert_eq!((labels[0], &labels[labels.len() - 3..]), ("Ann", &["?", "1", "2"][..]));
    for track in tracks {
        assert_eq!(track["class"], "fixed-point");
        for (by_step, count) in [("distance", 25), ("change", 24), ("apart", 25), ("points", 24)] {
            assert_eq!(track[by_step].as_array().unwrap().len(), count, "{by_step}");
        }
        let apart = |step: usize| track["apart"][step].as_f64().unwrap();
        assert!(apart(24) < 0.01 * apart(0), "{track}");
        let variance: f64 = track["variance"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).sum();
        assert!(variance > 0.99 && variance < 1.0 + 1e-9, "{variance}");
    }
    let shapes = shapes(&out);
    assert_eq!(shapes["question.0.states"], [tracks.len(), 25, 64]);
    assert_eq!((&shapes["question.0.none.0"], &shapes["question.0.noise.3"]), (&vec![24, 64], &vec![24, 64]));
    assert_eq!(shapes.len(), 1 + 1 + 4 + 4);
    let convergence = fs::read_to_string(out.join("convergence.svg")).unwrap();
    assert!(convergence.contains("books") && convergence.contains(&format!("fixed point: {}", tracks.len())));
    assert!(!convergence.contains("NaN") && !convergence.contains("inf"));

    let other = folder.path().join("other");
    let printed = run(&other, &["--threads", "3", "--json"]);
    for file in ["trace.json", "trace.safetensors", "planes.svg", "planes.png", "independence.png"] {
        let [ours, theirs] = [&out, &other].map(|run| fs::read(run.join(file)).unwrap());
        assert!(ours == theirs, "{file}");
    }
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), found);
}

#[test]
fn latents_of_a_chain_are_drawn_by_trajectory() {
    let folder = tempdir().unwrap();
    let out = text(folder.path());
    let data = abacus();
    let run =
        ["trace", "--data", &data, "--limit", "2", "--trajectories", "3", "--noise", "0.5", "--out", &out];
    let told = succeed(&run);
    assert!(told.contains("noise σ = 0.5"), "{told}");
    assert_eq!(pictures(folder.path()), ["convergence", "planes", "spread"]);
    let found = summary(folder.path());
    assert_eq!(found["questions"].as_array().unwrap().len(), 2);
    let first = &found["questions"][0];
    assert_eq!(first["tracks"].as_array().unwrap().len(), 1 + 3 + 3);
    assert_eq!(first["spread"][1]["by_step"].as_array().unwrap().len(), 3);
    assert!(first["samples"].as_array().unwrap().iter().all(|sample| sample["right"].is_boolean()));
    assert_eq!(shapes(folder.path())["question.1.dropout.2"], [3, 128]);
}

/// Random weights, under which no answer is right: scores are recorded and drawn all the same, and are the ones that decide.
#[test]
fn rewards_are_those_that_choose() {
    let folder = tempdir().unwrap();
    copy(&repository("tests/fixtures/colar-tiny"), folder.path());
    let tokenizer = repository("models/abacus-coconut/tokenizer.json");
    fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let few = r#"{ "max_new_tokens": 6, "latent_length": 2 }"#;
    fs::write(folder.path().join("generation_config.json"), few).unwrap();
    let data = folder.path().join("data.json");
    let question = "Ann has 11 stickers. Ann sells 2 of the stickers.";
    fs::write(&data, json!([{ "question": question, "answer": 9 }]).to_string()).unwrap();
    let (model, reward) = (text(folder.path()), text(&folder.path().join("latent_rm")));
    let models = ["--model", &model, "--reward", &reward];
    let out = folder.path().join("run");
    let trace =
        ["trace", "--data", &text(&data), "--trajectories", "4", "--noise", "0.8", "--out", &text(&out)];
    succeed(&[&trace[..], &models].concat());
    assert!(pictures(&out).contains(&"rewards".to_owned()));
    let solve = ["solve", question, "-n", "4", "--sampler", "noise", "--noise-std", "0.8", "--json"];
    let solved: Value = serde_json::from_str(&succeed(&[&solve[..], &models].concat())).unwrap();
    let samples = summary(&out)["questions"][0]["samples"].as_array().unwrap().clone();
    let noise = samples.iter().filter(|sample| sample["sampler"] == "noise σ = 0.8");
    for (sample, answer) in noise.zip(solved["answers"].as_array().unwrap()) {
        let sum: f64 = sample["rewards"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).sum();
        // A score is the sum of its steps' in f32.
        assert!((sum - answer["score"].as_f64().unwrap()).abs() < 1e-5 * sum.abs().max(1.0));
    }
}

#[test]
fn states_on_the_emulated_gpu_are_near_the_cpus() {
    let folder = tempdir().unwrap();
    let states = |device: &str| -> Vec<f32> {
        let out = folder.path().join(device);
        let run = ["trace", "--model", &model("tally-depth"), "--prompt", "Ann has 7 books.", "--steps", "2"];
        let more = ["--trajectories", "2", "--device", device, "--out", &text(&out)];
        succeed(&[&run[..], &more].concat());
        let bytes = fs::read(out.join("trace.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let data = file.tensor("question.0.states").unwrap().data().to_vec();
        data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    };
    let (ours, cpus) = (states("emulated"), states("cpu"));
    assert_eq!(ours.len(), cpus.len());
    for (a, b) in ours.iter().zip(&cpus) {
        // Sums in another order, magnified by what follows them (docs/numerics.md).
        assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{a} for {b}");
    }
}

#[test]
fn what_cannot_be_traced_is_one_line() {
    let folder = tempdir().unwrap();
    let out = text(folder.path());
    let (depth, reward) = (model("tally-depth"), text(&repository("tests/fixtures/coconut-tiny/latent_rm")));
    for (options, expected) in [
        (&["--prompt", " "][..], "--prompt: is blank"),
        (&["--data", "/no/such.json"], "/no/such.json"),
        (&["--prompt", "q", "--data", "x"], "--data"),
        (&[], "--prompt"),
        (&["--prompt", "q", "--steps", "1"], "from 2 to 256"),
        (&["--prompt", "q", "--dropout", "1"], "[0, 1)"),
        (&["--prompt", "q", "--trajectories", "0"], "--trajectories"),
        (&["--prompt", "q", "--model", &depth, "--reward", &reward], "--reward"),
        (&["--prompt", &"many ".repeat(200)], "question 0: "),
    ] {
        let error = refusal(&[&["trace", "--out", &out], options].concat());
        assert!(error.contains(expected), "{options:?}: {error}");
    }
    fs::write(folder.path().join("trace.json"), "{}").unwrap();
    let error = refusal(&["trace", "--prompt", "q", "--out", &out]);
    assert!(error.contains("already holds trace.json"), "{error}");
}
