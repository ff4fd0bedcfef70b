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
        ("\"coconut\"", "\"codi\"", "codi"),
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
