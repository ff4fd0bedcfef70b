//! `fathom train`: what a run leaves, and that a killed one ends as another.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;

use crate::binary::{command, refusal, repository, succeed, text};

/// A configuration of so many steps of COCONUT on the bundled model's weights.
fn prepared(steps: u64) -> (TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let (model, data) = (repository("models/abacus-coconut"), repository("data/abacus_test.json"));
    let config = format!(
        r#"
seed = 3
steps = {steps}
batch = 2
model = {{ folder = {model:?}, weights = true }}
data = {{ train = {data:?}, valid = {data:?}, validate = 2 }}
schedule = {{ shape = "trapezoid", warmup = 2, cooldown = 2 }}
progress = {{ log = 1, validate = {steps}, checkpoint = 1 }}
method = {{ kind = "coconut", stages = [{{ until = {steps}, skip = 3, thoughts = 3 }}] }}
[optimizer]
lr = 1e-4
rule = {{ kind = "ellis-adam", betas = [0.9, 0.95], eps = 1e-6, weight-decay = 1e-4 }}
"#
    );
    let path = place.path().join("run.toml");
    fs::write(&path, config).unwrap();
    (place, text(&path))
}

fn train(config: &str, out: &Path) -> PathBuf {
    let last = succeed(&["train", "--config", config, "--out", &text(out)]);
    PathBuf::from(last.trim_end())
}

/// SIGKILL at some moment between two checkpoints, whatever is being written then.
#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_to_the_same_bytes() {
    let (place, config) = prepared(12);
    let whole = train(&config, &place.path().join("whole"));
    for pause in [0, 3, 7] {
        let out = place.path().join(format!("killed-{pause}"));
        let arguments = ["train", "--config", &config, "--out", &text(&out)];
        let mut run = command().args(arguments).stdout(Stdio::null()).spawn().unwrap();
        let second = out.join("checkpoints/step-00000002");
        while !second.exists() && run.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(pause));
        run.kill().unwrap();
        run.wait().unwrap();
        let resumed = train(&config, &out);
        for file in ["model.safetensors", "optimizer.safetensors", "training.json"] {
            let [ours, theirs] = [&resumed, &whole].map(|folder| fs::read(folder.join(file)).unwrap());
            assert!(ours == theirs, "{file}, killed {pause} ms after its second checkpoint");
        }
    }
}

/// A method, the model that it wants, and what curves.svg then tells.
const METHODS: [(&str, &str, &str); 3] = [
    (
        r#"{ kind = "recurrent-depth", recurrence = { mean = 3.0, backprop = 2 }, targets = "all", packing = { length = 40 }, validate-at = [1, 4] }"#,
        r#"{"model_type": "huginn_raven", "block_size": 160, "vocab_size": 200, "n_embd": 16, "n_heads": 2,
            "intermediate_size": 24, "bias": false, "injection_type": "linear", "block_class_name": "SandwichBlock",
            "norm_class_name": "RMSNorm_llama", "norm_eps": 1e-6, "nonlin_name": "SiLU", "mlp_class_name": "GatedMLP",
            "state_init": "like-init", "n_layers_in_prelude": 1, "n_layers_in_recurrent_block": 1,
            "n_layers_in_coda": 1, "mean_recurrence": 4, "mean_backprop_depth": 2, "rope_base": 50000.0,
            "qk_bias": true, "tie_embeddings": true, "eos_token_id": 0}"#,
        "token correlation",
    ),
    (
        r#"{ kind = "codi", thoughts = 2, dropout = 0.1 }"#,
        r#"{"model_type": "gpt2", "activation_function": "gelu_new", "vocab_size": 200, "n_positions": 160,
            "n_embd": 16, "n_layer": 2, "n_head": 2, "layer_norm_epsilon": 1e-5, "eos_token_id": 0,
            "projector": true, "projector_hidden_size": 16}"#,
        "distillation",
    ),
    (
        r#"{ kind = "colar", dropout = 0.1 }"#,
        r#"{"model_type": "llama", "hidden_act": "silu", "vocab_size": 200, "hidden_size": 16,
            "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
            "max_position_embeddings": 160, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
            "latent_intermediate_size": 16, "latent_embedding_std": 0.02, "eos_token_id": 0}"#,
        "latents",
    ),
];

/// A configuration of sixteen steps from scratch, on generated problems.
fn from_scratch(method: &str, model: &str) -> (TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let data = text(&place.path().join("data"));
    succeed(&["make-data", "--out", &data, "--train", "30", "--valid", "4", "--test", "4", "--json"]);
    fs::write(place.path().join("data/config.json"), model).unwrap();
    let config = format!(
        r#"
seed = 3
steps = 16
batch = 2
model = {{ folder = "data" }}
data = {{ train = "data/train.jsonl", valid = "data/valid.jsonl", validate = 2 }}
schedule = {{ shape = "cosine", warmup = 2 }}
progress = {{ log = 1, validate = 4, checkpoint = 1 }}
method = {method}
[optimizer]
lr = 1e-3
clip = 1.0
rule = {{ kind = "adamw", betas = [0.9, 0.99], eps = 1e-8, weight-decay = 0.1 }}
"#
    );
    let path = place.path().join("run.toml");
    fs::write(&path, config).unwrap();
    (place, text(&path))
}

/// SIGKILL again and again, at whatever moment, until a run comes to its end.
#[cfg(unix)]
#[test]
fn every_method_survives_kills_and_answers() {
    for (method, model, curve) in METHODS {
        let (place, config) = from_scratch(method, model);
        let whole = train(&config, &place.path().join("whole"));
        let out = place.path().join("killed");
        let (mut kills, mut pause) = (0, 12);
        loop {
            let arguments = ["train", "--config", &config, "--out", &text(&out)];
            let mut run = command().args(arguments).stdout(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(pause));
            if let Some(status) = run.try_wait().unwrap() {
                assert!(status.success(), "{method}");
                break;
            }
            run.kill().unwrap();
            run.wait().unwrap();
            (kills, pause) = (kills + 1, pause * 5 / 4 + kills % 7);
        }
        assert!(kills > 0);
        let killed = out.join("checkpoints").join(whole.file_name().unwrap());
        for file in ["model.safetensors", "optimizer.safetensors", "training.json"] {
            let [ours, theirs] = [&killed, &whole].map(|folder| fs::read(folder.join(file)).unwrap());
            assert!(ours == theirs, "{file} of {method} after {kills} kills");
        }
        let left: Vec<_> =
            fs::read_dir(out.join("checkpoints")).unwrap().map(|one| one.unwrap().path()).collect();
        assert_eq!(left, std::slice::from_ref(&killed), "only the last checkpoint stays");
        let curves = fs::read_to_string(out.join("curves.svg")).unwrap();
        assert!(curves.contains("training") && curves.contains(curve), "{curves}");
        let test = text(&place.path().join("data/test.jsonl"));
        let report =
            succeed(&["eval", "--data", &test, "--model", &text(&killed), "-n", "2", "--steps", "2"]);
        assert!(report.contains("4 questions"), "{report}");
    }
}

/// A folder that cannot be written is named, and what was there stays.
#[test]
fn what_cannot_be_written_is_one_line() {
    let (method, model, _) = METHODS[2];
    let (place, config) = from_scratch(method, model);
    let out = place.path().join("out");
    let last = train(&config, &out);
    let kept = fs::read(last.join("model.safetensors")).unwrap();
    fs::rename(&last, out.join("checkpoints/step-00000003")).unwrap();
    let state = out.join("checkpoints/step-00000003/training.json");
    let earlier = fs::read_to_string(&state).unwrap().replace("\"step\": 16", "\"step\": 3");
    fs::write(&state, earlier).unwrap();
    // Where a checkpoint is written there is a file.
    fs::write(out.join("checkpoints/partial"), "in the way").unwrap();
    let line = refusal(&["train", "--config", &config, "--out", &text(&out)]);
    assert!(line.contains("checkpoints/partial"), "{line}");
    assert_eq!(fs::read(out.join("checkpoints/step-00000003/model.safetensors")).unwrap(), kept);
}

#[test]
fn a_checkpoint_answers_questions_and_the_curves_are_drawn() {
    let (place, config) = prepared(2);
    let out = place.path().join("out");
    let last = text(&train(&config, &out));
    let answer = succeed(&[
        "solve",
        "Jack has 24 books. Jack sells 4 of the books. how many books does Jack have now?",
        "--model",
        &last,
        "-n",
        "4",
    ]);
    assert!(answer.contains("20"), "{answer}");
    let curves = fs::read_to_string(out.join("curves.svg")).unwrap();
    assert!(curves.contains("validation") && curves.contains("steps"), "{curves}");
}

#[test]
fn what_cannot_be_trained_is_one_line() {
    let (place, config) = prepared(2);
    let good = fs::read_to_string(&config).unwrap();
    let out = text(&place.path().join("out"));
    for (from, to, culprit) in [
        ("steps = 2", "steps = -1", "run.toml"),
        ("\"coconut\"", "\"cocoon\"", "cocoon"),
        ("abacus_test.json", "no_such.json", "no_such.json"),
        ("models/abacus-coconut", "models/no-such", "no-such"),
        (
            "kind = \"coconut\", stages = [{ until = 2, skip = 3, thoughts = 3 }]",
            "kind = \"recurrent-depth\", recurrence = { mean = 4.0, backprop = 2 }",
            "recurrent-depth",
        ),
        ("thoughts = 3", "thoughts = 300", "context"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&config, good.replace(from, to)).unwrap();
        let line = refusal(&["train", "--config", &config, "--out", &out]);
        assert!(line.contains(culprit), "{to}: {line}");
    }
    let missing = refusal(&["train", "--config", "no/such.toml", "--out", &out]);
    assert!(missing.contains("no/such.toml"), "{missing}");
}
