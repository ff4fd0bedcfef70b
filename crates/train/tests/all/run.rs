//! Whole runs: what they leave, and that a run that was stopped ends as one that was not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fathom::{DType, Device};
use fathom_model::{folder::Folder, load::Model};
use fathom_train::{
    Error,
    run::{LOG, Line, Run, RunConfig},
};
use tempfile::TempDir;

const REPOSITORY: &str = "../..";

/// A recurrent-depth model of the bundled tokenizer's vocabulary.
const RECURRENT: &str = r#"{
    "model_type": "huginn_raven", "architectures": ["RavenForCausalLM"], "block_size": 128, "vocab_size": 80,
    "n_embd": 32, "n_heads": 2, "intermediate_size": 48, "bias": false, "injection_type": "linear",
    "block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama", "norm_eps": 1e-6, "nonlin_name": "SiLU",
    "mlp_class_name": "GatedMLP", "state_init": "like-init", "n_layers_in_prelude": 1,
    "n_layers_in_recurrent_block": 1, "n_layers_in_coda": 1, "mean_recurrence": 4, "mean_backprop_depth": 2,
    "rope_base": 50000.0, "qk_bias": true, "tie_embeddings": true, "bos_token_id": 0, "eos_token_id": 0,
    "pad_token_id": 0
}"#;

const COCONUT: &str = r#"
kind = "coconut"
dropout = 0.1
stages = [{ until = 3, skip = 0, thoughts = 0 }, { until = 6, skip = 2, thoughts = 2 }]
"#;

const DEPTH: &str = r#"
kind = "recurrent-depth"
recurrence = { mean = 4.0, backprop = 2 }
validate-at = [1, 4]
"#;

/// A folder of a model, a configuration beside it.
fn prepared(method: &str) -> (TempDir, RunConfig) {
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("model");
    fs::create_dir(&model).unwrap();
    let bundled = Path::new(REPOSITORY).join("models/abacus-coconut");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(bundled.join(file), model.join(file)).unwrap();
    }
    match method {
        DEPTH => fs::write(model.join("config.json"), RECURRENT).unwrap(),
        _ => fs::copy(bundled.join("config.json"), model.join("config.json")).map(drop).unwrap(),
    }
    let data = fs::canonicalize(Path::new(REPOSITORY).join("data/abacus_test.json")).unwrap();
    let text = format!(
        r#"
seed = 5
steps = 6
batch = 3
model = {{ folder = "model" }}
data = {{ train = {data:?}, valid = {data:?}, validate = 4 }}
schedule = {{ shape = "cosine", warmup = 2 }}
progress = {{ log = 1, validate = 3, checkpoint = 2 }}
[optimizer]
lr = 1e-3
clip = 1.0
rule = {{ kind = "adamw", betas = [0.9, 0.95], eps = 1e-8, weight-decay = 0.1 }}
[method]{method}"#
    );
    let path = place.path().join("run.toml");
    fs::write(&path, text).unwrap();
    let config = RunConfig::read(&path).unwrap();
    (place, config)
}

fn log(folder: &Path) -> Vec<Line> {
    let text = fs::read_to_string(folder.join(LOG)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The log but for what the clock says.
fn told(folder: &Path) -> Vec<Line> {
    let still = |line| match line {
        Line::Step { step, loss, norm, lr, .. } => Line::Step { step, loss, norm, lr, speed: 0.0 },
        other => other,
    };
    log(folder).into_iter().map(still).collect()
}

fn finish(config: &RunConfig, out: &Path) -> PathBuf {
    Run::open(config.clone(), out, &Device::Cpu).unwrap().finish(|_, _| ()).unwrap()
}

/// Stopped after any step, with whatever was written by then, it ends with the same files.
#[test]
fn a_run_that_was_stopped_ends_the_same() {
    for method in [COCONUT, DEPTH] {
        let (place, config) = prepared(method);
        let whole = place.path().join("whole");
        let last = finish(&config, &whole);
        for stop in 1..6 {
            let out = place.path().join(format!("stopped-{stop}"));
            let mut run = Run::open(config.clone(), &out, &Device::Cpu).unwrap();
            // As a kill between two steps leaves the folder: nothing is finished, nothing is let go in order.
            let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                run.finish(|step, line| assert!(step < stop || line.is_some(), "stopped")).unwrap()
            }));
            assert!(stopped.is_err());
            drop(run);
            fs::create_dir_all(out.join("checkpoints/partial")).unwrap();
            fs::write(out.join("checkpoints/partial/model.safetensors"), "half a file").unwrap();
            let resumed = finish(&config, &out);
            for file in ["model.safetensors", "optimizer.safetensors", "training.json", "config.json"] {
                let [ours, theirs] = [&resumed, &last].map(|folder| fs::read(folder.join(file)).unwrap());
                assert!(ours == theirs, "{file} after a stop at {stop}");
            }
            assert_eq!(told(&out), told(&whole), "stopped at {stop}");
        }
    }
}

/// What it leaves loads as a model, and has learnt something.
#[test]
fn checkpoints_are_models() {
    for method in [COCONUT, DEPTH] {
        let (place, config) = prepared(method);
        let out = place.path().join("out");
        let last = finish(&config, &out);
        Model::load(&Folder::open(&last).unwrap(), &Device::Cpu, DType::F32).unwrap();
        let losses: Vec<f64> = log(&out)
            .into_iter()
            .filter_map(|line| match line {
                Line::Validation { losses, .. } => losses.last().map(|last| last.loss),
                _ => None,
            })
            .collect();
        assert_eq!(losses.len(), 3);
        if method == DEPTH {
            assert!(losses[2] < losses[0], "{losses:?}");
        }
    }
}

#[test]
fn threads_do_not_matter() {
    let (place, config) = prepared(COCONUT);
    let weights = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let out = place.path().join(format!("threads-{threads}"));
        let last = pool.install(|| finish(&config, &out));
        fs::read(last.join("model.safetensors")).unwrap()
    };
    assert!(weights(1) == weights(3));
}

/// A run in the kernels: the CPU's problems, draws and rates, losses within 1e-5 while steps are few and small.
#[test]
fn runs_on_the_emulated_gpu() {
    let (place, mut config) = prepared(DEPTH);
    (config.steps, config.batch, config.data.validate, config.optimizer.lr) = (2, 2, 2, 1e-5);
    let run = |device: &Device, name: &str| {
        let out = place.path().join(name);
        let last = Run::open(config.clone(), &out, device).unwrap().finish(|_, _| ()).unwrap();
        Model::load(&Folder::open(&last).unwrap(), &Device::Cpu, DType::F32).unwrap();
        told(&out)
    };
    let (got, expected) = (run(&Device::emulated().unwrap(), "emulated"), run(&Device::Cpu, "cpu"));
    assert_eq!(got.len(), expected.len());
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
    for lines in got.iter().zip(&expected) {
        let alike = match lines {
            (Line::Step { loss, lr, .. }, Line::Step { loss: l, lr: r, .. }) => near(*loss, *l) && lr == r,
            (Line::Validation { losses, .. }, Line::Validation { losses: theirs, .. }) => {
                losses.iter().zip(theirs).all(|(a, b)| a.r == b.r && near(a.loss, b.loss))
            }
            (ours, theirs) => ours == theirs,
        };
        assert!(alike, "{lines:?}");
    }
}

#[test]
fn another_configuration_does_not_go_on() {
    let (place, mut config) = prepared(DEPTH);
    let out = place.path().join("out");
    finish(&config, &out);
    config.seed += 1;
    let error = Run::open(config, &out, &Device::Cpu).unwrap_err();
    assert!(matches!(&error, Error::Option { option: "out", .. }), "{error}");
}

/// A rate that blows the weights up ends the run by name, and the last checkpoint stays.
#[test]
fn what_is_not_finite_stops_the_run() {
    let (place, mut config) = prepared(COCONUT);
    config.optimizer.lr = 1e30;
    config.optimizer.clip = None;
    config.schedule = fathom_train::schedule::Schedule::Trapezoid { warmup: 0, cooldown: 0 };
    let error = Run::open(config, &place.path().join("out"), &Device::Cpu).unwrap().finish(|_, _| ());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("at step") && error.contains("last good checkpoint"), "{error}");
}

#[test]
fn configurations_name_what_is_wrong() {
    let (place, _) = prepared(DEPTH);
    let path = place.path().join("run.toml");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, culprit) in [
        ("steps = 6", "steps = 0", "steps"),
        ("seed = 5", "", "seed"),
        ("batch = 3", "batch = 3\nbatches = 4", "batches"),
        ("mean = 4.0", "mean = 0.0", "recurrence.mean"),
        ("validate-at = [1, 4]", "validate-at = [0]", "validate-at"),
        ("lr = 1e-3", "lr = -1.0", "optimizer.lr"),
        ("\"recurrent-depth\"", "\"depth\"", "depth"),
        ("\"cosine\"", "\"cosine", "line"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = RunConfig::read(&path).unwrap_err().to_string();
        assert!(error.contains(culprit) && error.contains("run.toml"), "{to}: {error}");
    }
    let missing = RunConfig::read(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(missing.contains("no/such.toml"), "{missing}");
}
