//! Whole runs: what they leave, and that a run that was stopped ends as one that was not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fathom::{DType, Device};
use fathom_model::{folder::Folder, load::Model};
use fathom_train::{
    Error,
    data::{Difficulty, generate, tokenizer_files},
    run::{LOG, Line, Method, ModelConfig, OptimizerConfig, Progress, Run, RunConfig, Stage},
    schedule::Schedule,
};
use tempfile::TempDir;

/// Models of a vocabulary that holds the generated problems' words.
const RECURRENT: &str = r#"{
    "model_type": "huginn_raven", "architectures": ["RavenForCausalLM"], "block_size": 192, "vocab_size": 200,
    "n_embd": 32, "n_heads": 2, "intermediate_size": 48, "bias": false, "injection_type": "linear",
    "block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama", "norm_eps": 1e-6, "nonlin_name": "SiLU",
    "mlp_class_name": "GatedMLP", "state_init": "like-init", "n_layers_in_prelude": 1,
    "n_layers_in_recurrent_block": 1, "n_layers_in_coda": 1, "mean_recurrence": 4, "mean_backprop_depth": 2,
    "rope_base": 50000.0, "qk_bias": true, "tie_embeddings": true, "bos_token_id": 0, "eos_token_id": 0,
    "pad_token_id": 0
}"#;

const GPT2: &str = r#"{
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "vocab_size": 200,
    "n_positions": 192, "n_embd": 32, "n_layer": 2, "n_head": 4, "layer_norm_epsilon": 1e-5, "bos_token_id": 0,
    "eos_token_id": 0, "pad_token_id": 0
}"#;

const LLAMA: &str = r#"{
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu", "vocab_size": 200,
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 192, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
    "tie_word_embeddings": true, "latent_intermediate_size": 32, "latent_embedding_std": 0.02, "bos_token_id": 0,
    "eos_token_id": 0, "pad_token_id": 0
}"#;

const COCONUT: &str = r#"
kind = "coconut"
dropout = 0.1
stages = [{ until = 3, skip = 0, thoughts = 0 }, { until = 6, skip = 2, thoughts = 2 }]
"#;

const CODI: &str = r#"
kind = "codi"
thoughts = 2
distillation = 2.0
dropout = 0.1
"#;

const COLAR: &str = r#"
kind = "colar"
speeds = 3
dropout = 0.1
"#;

const DEPTH: &str = r#"
kind = "recurrent-depth"
recurrence = { mean = 4.0, backprop = 2 }
validate-at = [1, 4]
"#;

const PACKED: &str = r#"
kind = "recurrent-depth"
recurrence = { mean = 4.0, backprop = 2 }
targets = "all"
written-steps = true
packing = { length = 50, keep-all = true }
validate-at = [1, 4]
"#;

const MASKED: &str = r#"
kind = "recurrent-depth"
recurrence = { mean = 4.0, backprop = 2 }
targets = "all"
packing = { length = 50, mask = true }
validate-at = [1, 4]
"#;

const ALL: [&str; 6] = [COCONUT, CODI, COLAR, DEPTH, PACKED, MASKED];

/// A folder of a model, a configuration beside it.
fn prepared(method: &str) -> (TempDir, RunConfig) {
    let place = tempfile::tempdir().unwrap();
    let model = place.path().join("model");
    fs::create_dir(&model).unwrap();
    for (name, bytes) in tokenizer_files().unwrap() {
        fs::write(model.join(name), bytes).unwrap();
    }
    let shape = match method {
        COCONUT => GPT2.to_owned(),
        CODI => GPT2.replacen('{', r#"{"projector": true, "projector_hidden_size": 48,"#, 1),
        COLAR => LLAMA.to_owned(),
        _ => RECURRENT.to_owned(),
    };
    fs::write(model.join("config.json"), shape).unwrap();
    let problems = (0..40).map(|index| generate(3, index, &Difficulty::default()).unwrap());
    let lines: Vec<String> = problems.map(|problem| serde_json::to_string(&problem).unwrap()).collect();
    let data = place.path().join("problems.jsonl");
    fs::write(&data, lines.join("\n")).unwrap();
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
        Line::Step { step, loss, norm, lr, parts, .. } => {
            Line::Step { step, loss, norm, lr, speed: 0.0, parts }
        }
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
    for method in ALL {
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
            if stop == 5 {
                // And as one amid the removal of what came before.
                fs::create_dir_all(out.join("checkpoints/gone")).unwrap();
                fs::create_dir_all(out.join("checkpoints/step-00000000")).unwrap();
            }
            let resumed = finish(&config, &out);
            assert_eq!(fs::read_dir(out.join("checkpoints")).unwrap().count(), 1);
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
fn checkpoints_are_models_that_have_learnt() {
    for method in ALL {
        let (place, mut config) = prepared(method);
        (config.steps, config.optimizer.lr) = (24, 3e-3);
        config.progress = Progress { log: 8, validate: 12, checkpoint: 24 };
        if let Method::Coconut { stages, .. } = &mut config.method {
            *stages = vec![Stage { until: 24, skip: 2, thoughts: 2 }];
        }
        let out = place.path().join("out");
        let last = finish(&config, &out);
        Model::load(&Folder::open(&last).unwrap(), &Device::Cpu, DType::F32).unwrap();
        let (mut losses, mut steps) = (Vec::new(), Vec::new());
        for line in log(&out) {
            match line {
                Line::Validation { losses: validated, .. } => losses.push(validated),
                Line::Step { loss, parts, .. } => steps.push((loss, parts)),
                Line::Checkpoint { .. } => {}
            }
        }
        let [first, .., last] = losses.as_slice() else { panic!("{losses:?}") };
        for (first, last) in first.iter().zip(last) {
            assert!(last.loss < 0.9 * first.loss, "{method}: {} from {}", last.loss, first.loss);
            let recurrent = matches!(config.method, Method::RecurrentDepth { .. });
            assert_eq!(last.states.is_some(), recurrent);
            if let Some(states) = last.states {
                let correlation = states.correlation.unwrap();
                assert!(states.norm > 0.0 && states.change > 0.0 && correlation.abs() <= 1.0, "{states:?}");
            }
        }
        assert!(steps.iter().all(|(loss, _)| loss.is_finite()) && steps.len() == 3);
        let parts = |name: &str| steps.iter().all(|(_, parts)| parts.iter().any(|part| part.name == name));
        match method {
            CODI => assert!(parts("teacher") && parts("student") && parts("distillation")),
            COLAR => assert!(parts("tokens") && parts("latents")),
            _ => assert!(steps.iter().all(|(_, parts)| parts.is_empty())),
        }
    }
}

/// Names and shapes of the published checkpoints (spec huginn §2.1, latenttts §1.5), in files that say so.
#[test]
fn checkpoints_have_the_published_layout() {
    let (h, inner) = (32, 48);
    let block = |part: &str| {
        let of = |name: &str, shape: Vec<usize>| (format!("transformer.{part}.0.{name}"), shape);
        let norms = (1..5).map(|norm| of(&format!("norm_{norm}.weight"), vec![h])).collect::<Vec<_>>();
        let others = [
            of("attn.Wqkv.weight", vec![3 * h, h]),
            of("attn.qk_bias", vec![2, 1, 2, 16]),
            of("attn.proj.weight", vec![h, h]),
            of("mlp.fc.weight", vec![2 * inner, h]),
            of("mlp.proj.weight", vec![h, inner]),
        ];
        [norms, others.into()].concat()
    };
    let mut published: Vec<(String, Vec<usize>)> =
        ["prelude", "core_block", "coda"].into_iter().flat_map(block).collect();
    for (name, shape) in
        [("wte.weight", vec![200, h]), ("adapter.weight", vec![h, 2 * h]), ("ln_f.weight", vec![h])]
    {
        published.push((format!("transformer.{name}"), shape));
    }
    published.sort();
    for method in [DEPTH, CODI, COLAR] {
        let (place, mut config) = prepared(method);
        config.steps = 2;
        let last = finish(&config, &place.path().join("out"));
        let bytes = fs::read(last.join("model.safetensors")).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut header: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(header.remove("__metadata__").unwrap()["format"], "pt");
        let shape = |value: serde_json::Value| serde_json::from_value(value["shape"].clone()).unwrap();
        let mut tensors: Vec<(String, Vec<usize>)> =
            header.into_iter().map(|(name, value)| (name, shape(value))).collect();
        tensors.sort();
        let holds =
            |name: &str, shape: Vec<usize>| assert!(tensors.contains(&(name.into(), shape)), "{name}");
        match method {
            CODI => {
                holds("transformer.h.1.attn.c_attn.weight", vec![h, 3 * h]);
                holds("transformer.wpe.weight", vec![192, h]);
                holds("projector.1.weight", vec![48, h]);
                holds("projector.4.bias", vec![h]);
            }
            COLAR => {
                holds("model.layers.1.self_attn.k_proj.weight", vec![16, h]);
                holds("model.embed_tokens.weight", vec![200, h]);
                holds("lt_head.fc.2.weight", vec![h, h]);
                holds("lt_head.mean.bias", vec![h]);
            }
            _ => assert_eq!(tensors, published),
        }
    }
}

/// From a checkpoint, and from a body alone, whose projector or latent head then begins at random.
#[test]
fn runs_begin_with_weights() {
    for method in [CODI, COLAR, DEPTH] {
        let (place, mut config) = prepared(method);
        let last = finish(&config, &place.path().join("out"));
        config.model = ModelConfig { folder: last.clone(), weights: true };
        let validated = |config: &RunConfig, out: &str| {
            let out = place.path().join(out);
            finish(config, &out);
            log(&out).into_iter().find_map(|line| match line {
                Line::Validation { losses, .. } => Some(losses[0].loss),
                _ => None,
            })
        };
        let ended = log(&place.path().join("out")).into_iter().rev().find_map(|line| match line {
            Line::Validation { losses, .. } => Some(losses[0].loss),
            _ => None,
        });
        assert_eq!(validated(&config, "again"), ended, "{method}");
    }
    let (place, mut config) = prepared(COCONUT);
    let body = finish(&config, &place.path().join("out"));
    let (other, codi) = prepared(CODI);
    fs::copy(body.join("model.safetensors"), other.path().join("model/model.safetensors")).unwrap();
    config = RunConfig { model: ModelConfig { weights: true, ..codi.model }, method: codi.method, ..config };
    let last = finish(&config, &place.path().join("grown"));
    Model::load(&Folder::open(&last).unwrap(), &Device::Cpu, DType::F32).unwrap();
}

#[test]
fn threads_do_not_matter() {
    for method in [COCONUT, CODI, COLAR] {
        let (place, config) = prepared(method);
        let weights = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let out = place.path().join(format!("threads-{threads}"));
            let last = pool.install(|| finish(&config, &out));
            fs::read(last.join("model.safetensors")).unwrap()
        };
        assert!(weights(1) == weights(3), "{method}");
    }
}

/// Rows longer than the context, or than all problems together, and a method for another model.
#[test]
fn what_does_not_fit_is_refused() {
    let refused = |method: &str, change: &dyn Fn(&mut RunConfig)| {
        let (place, mut config) = prepared(method);
        change(&mut config);
        Run::open(config, &place.path().join("out"), &Device::Cpu).unwrap_err().to_string()
    };
    let length = |length: usize| {
        move |config: &mut RunConfig| {
            if let Method::RecurrentDepth { packing: Some(packing), .. } = &mut config.method {
                packing.length = length;
            }
        }
    };
    let long = refused(PACKED, &length(193));
    assert!(long.contains("packing") && long.contains("context of 192"), "{long}");
    for (method, other) in [(CODI, COCONUT), (COCONUT, CODI), (COLAR, DEPTH), (DEPTH, COLAR)] {
        let (_place, config) = prepared(other);
        let error = refused(method, &|of: &mut RunConfig| of.method = config.method.clone());
        assert!(error.starts_with("method: ") && error.contains("wants"), "{error}");
    }
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

/// A rate that blows the weights up ends the run with step, tensor and checkpoint, and the checkpoint stays.
#[test]
fn what_is_not_finite_stops_the_run() {
    for method in ALL {
        let (place, mut config) = prepared(method);
        config.optimizer = OptimizerConfig { lr: 1e30, clip: None, ..config.optimizer };
        config.schedule = Schedule::Trapezoid { warmup: 0, cooldown: 0 };
        config.progress = Progress { log: 1, validate: 100, checkpoint: 1 };
        let out = place.path().join("out");
        let error = Run::open(config, &out, &Device::Cpu).unwrap().finish(|_, _| ()).unwrap_err().to_string();
        let named = ["at step ", "last good checkpoint", " is not finite"];
        assert!(named.iter().all(|part| error.contains(part)) && !error.contains('\n'), "{method}: {error}");
        let names = error.contains("loss") || error.contains("gradient of") || error.contains(".weight");
        assert!(names, "{method}: {error}");
        if let Some(last) = error.split("with ").nth(1).and_then(|rest| rest.split(" the last").next()) {
            assert!(last == "none" || Path::new(last).join("model.safetensors").exists(), "{error}");
        }
    }
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
        ("validate-at = [1, 4]", "packing = { length = 9 }", "method.targets"),
        ("validate-at = [1, 4]", "packing = { length = 0 }\ntargets = \"all\"", "packing.length"),
        ("backprop = 2", "backprop = 2, sigma = -1.0", "recurrence.sigma"),
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
