//! `fathom annotate` and `fathom train-rm`: parts, kills, and a reward model that `eval` uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;

use crate::binary::{abacus, command, refusal, report, repository, succeed, text};

/// A folder with a configuration of each command.
fn prepared() -> TempDir {
    let sampling = r#"{ trajectories = 4, perturbation = { sampler = "noise", std = 0.4, scope = "full" }, max-answer-tokens = 20 }"#;
    prepared_with(
        tempfile::tempdir().unwrap(),
        [&repository("models/abacus-coconut"), Path::new(&abacus())],
        sampling,
    )
}

/// The same of recurrent depth, on problems that it was trained for.
fn prepared_depth() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let data = text(&place.path().join("problems"));
    let sizes = ["--seed", "8", "--train", "21", "--valid", "2", "--test", "2", "--numbers", "1..9"];
    let difficulty = ["--factors", "2..3", "--persons", "1..1", "--limit", "40"];
    succeed(&[&["make-data", "--out", &data], &sizes[..], &difficulty[..]].concat());
    let sampling = r#"{ trajectories = 4, steps = 2, perturbation = { sampler = "noise", std = 5.0, scope = "latent" }, max-answer-tokens = 4 }"#;
    let data = place.path().join("problems/train.jsonl");
    prepared_with(place, [&repository("models/tally-depth"), &data], sampling)
}

fn prepared_with(place: TempDir, [model, data]: [&Path; 2], sampling: &str) -> TempDir {
    let annotate = format!(
        "model = {model:?}\ndata = {data:?}\nquestions = 21\nrollouts = 4\nquestions-a-file = 2\nsampling = {sampling}\n"
    );
    let train = format!(
        r#"
seed = 1
steps = 12
batch = 2
model = {model:?}
annotations = ["annotations"]
validation = {{ data = {data:?}, questions = 4, sampling = {sampling} }}
schedule = {{ shape = "cosine", warmup = 2 }}
progress = {{ log = 1, validate = 3, checkpoint = 1 }}
[optimizer]
lr = 1e-3
clip = 1.0
rule = {{ kind = "adamw", betas = [0.9, 0.999], eps = 1e-8, weight-decay = 0.0 }}
"#
    );
    fs::write(place.path().join("annotate.toml"), annotate).unwrap();
    fs::write(place.path().join("rm.toml"), train).unwrap();
    place
}

/// Runs a command of the folder's configuration; `more` are further arguments.
fn run(place: &TempDir, name: &str, out: &Path, more: &[&str]) -> String {
    let file = if name == "annotate" { "annotate.toml" } else { "rm.toml" };
    let (config, out) = (text(&place.path().join(file)), text(out));
    succeed(&[&[name, "--config", &config, "--out", &out], more].concat())
}

/// Files of tensors by name.
fn shards(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"));
    let mut files: Vec<_> =
        files.map(|path| (text(Path::new(path.file_name().unwrap())), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Kills `name` with SIGKILL `pause` ms after `sign` is there.
fn kill(place: &TempDir, name: &str, out: &Path, sign: &Path, pause: u64) {
    let file = if name == "annotate" { "annotate.toml" } else { "rm.toml" };
    let (config, folder) = (text(&place.path().join(file)), text(out));
    let arguments = [name, "--config", &config, "--out", &folder];
    let mut run = command().args(arguments).stdout(Stdio::null()).spawn().unwrap();
    while !sign.exists() && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(pause));
    run.kill().unwrap();
    run.wait().unwrap();
}

/// On any number of threads, killed and gone on with, the files are the same.
#[test]
fn annotations_do_not_depend_on_threads_or_kills() {
    let place = prepared();
    let folder = |name: &str| place.path().join(name);
    let told = run(&place, "annotate", &folder("one"), &["--threads", "1"]);
    assert!(told.contains("21 questions") && told.contains("mean value"), "{told}");
    assert_eq!(shards(&folder("one")).len(), 11);
    assert_eq!(run(&place, "annotate", &folder("three"), &["--threads", "3"]), told);
    assert!(shards(&folder("three")) == shards(&folder("one")));
    for pause in [0, 5] {
        let out = folder(&format!("killed-{pause}"));
        kill(&place, "annotate", &out, &out.join("2_on0.safetensors"), pause);
        assert_eq!(run(&place, "annotate", &out, &[]), told);
        assert!(shards(&out) == shards(&folder("one")), "killed after {pause} ms");
    }
    let json = run(&place, "annotate", &folder("one"), &["--json"]);
    let summary: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(summary["questions"], 21);

    let path = folder("annotate.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("rollouts = 4", "rollouts = 5")).unwrap();
    let error = refusal(&["annotate", "--config", &text(&path), "--out", &text(&folder("one"))]);
    assert!(error.contains("rollouts differs: 4 there, 5 here"), "{error}");
}

/// Parts of a data set in one folder are the whole, in whatever order they come.
#[test]
fn parts_lie_side_by_side() {
    let place = prepared();
    let [whole, parts] = ["whole", "annotations"].map(|name| place.path().join(name));
    let told = run(&place, "annotate", &whole, &[]);
    run(&place, "annotate", &parts, &["--shard", "2/2"]);
    let config = text(&place.path().join("rm.toml"));
    let error = refusal(&["train-rm", "--config", &config, "--out", &text(&place.path().join("early"))]);
    assert!(error.contains("annotation_on0.json"), "{error}");
    let both = run(&place, "annotate", &parts, &["--shard", "1/2"]);
    assert_eq!(both.lines().take(2).collect::<Vec<_>>(), told.lines().take(2).collect::<Vec<_>>());

    let tensors = |folder: &Path| {
        let mut all: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (_, bytes) in shards(folder) {
            let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let tensors = file.tensors().into_iter();
            all.extend(tensors.map(|(name, one)| (name, one.shape().to_vec(), one.data().to_vec())));
        }
        all.sort();
        all
    };
    assert!(tensors(&parts) == tensors(&whole));
    // 11 and 10 questions, two a file.
    assert_eq!(shards(&parts).len(), 6 + 5);
    run(&place, "train-rm", &place.path().join("rm"), &[]);
}

#[test]
fn a_killed_run_goes_on_to_the_same_bytes_and_eval_takes_the_best() {
    let place = prepared();
    let folder = |name: &str| place.path().join(name);
    run(&place, "annotate", &folder("annotations"), &[]);
    let best = run(&place, "train-rm", &folder("whole"), &[]);
    for pause in [0, 4] {
        let out = folder(&format!("killed-{pause}"));
        kill(&place, "train-rm", &out, &out.join("checkpoints/step-00000004"), pause);
        run(&place, "train-rm", &out, &[]);
        let last = "checkpoints/step-00000012";
        for (of, file) in [
            (last, "model.safetensors"),
            (last, "optimizer.safetensors"),
            (last, "training.json"),
            ("best", "model.safetensors"),
        ] {
            let [ours, theirs] =
                [&out, &folder("whole")].map(|run| fs::read(run.join(of).join(file)).unwrap());
            assert!(ours == theirs, "{of}/{file}, killed {pause} ms after its fourth checkpoint");
        }
    }
    let curves = fs::read_to_string(folder("whole/curves.svg")).unwrap();
    assert!(curves.contains("best of N") && curves.contains("steps"), "{curves}");

    // What the last line of the log says of the best checkpoint's step, `eval` finds as well.
    let best = PathBuf::from(best.trim_end());
    let (data, out) = (abacus(), text(&folder("eval")));
    let options = ["--limit", "4", "-n", "4", "--sampler", "noise", "--noise-std", "0.4", "--out", &out];
    succeed(&[&["eval", "--data", &data, "--reward", &text(&best)], &options[..]].concat());
    let log = fs::read_to_string(folder("whole/log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let validations: Vec<_> =
        lines.filter(|line| line["event"] == "validation" && line["step"] != 0).collect();
    let accuracy = validations.iter().map(|line| line["best_of_n"].as_f64().unwrap()).fold(0.0, f64::max);
    let found = report(&folder("eval"));
    assert_eq!(found["accuracy"]["best-of-n"]["value"].as_f64().unwrap(), accuracy);
    assert_eq!(found["accuracy"]["majority"]["value"], validations[0]["majority"]);
    assert_eq!(found["coverage"], validations[0]["coverage"]);
}

/// Recurrent depth from annotation to choice: on any number of threads, killed or in parts the same bytes; then every
/// aggregation and its cost.
#[test]
fn recurrent_depth_is_annotated_learnt_and_searched() {
    let place = prepared_depth();
    let folder = |name: &str| place.path().join(name);
    let told = run(&place, "annotate", &folder("annotations"), &["--threads", "1"]);
    assert!(told.contains("21 questions") && told.contains("mean value"), "{told}");
    let out = folder("killed");
    kill(&place, "annotate", &out, &out.join("2_on0.safetensors"), 0);
    assert_eq!(run(&place, "annotate", &out, &["--threads", "2"]), told);
    assert!(shards(&out) == shards(&folder("annotations")));
    for shard in ["1/2", "2/2"] {
        run(&place, "annotate", &folder("parts"), &["--shard", shard]);
    }
    assert_eq!(shards(&folder("parts")).len(), 6 + 5);

    let best = run(&place, "train-rm", &folder("whole"), &[]);
    let out = folder("killed-rm");
    kill(&place, "train-rm", &out, &out.join("checkpoints/step-00000004"), 2);
    run(&place, "train-rm", &out, &[]);
    for file in
        ["checkpoints/step-00000012/optimizer.safetensors", "best/model.safetensors", "best/config.json"]
    {
        let [ours, theirs] = [&out, &folder("whole")].map(|run| fs::read(run.join(file)).unwrap());
        assert!(ours == theirs, "{file}");
    }
    let config = fs::read_to_string(folder("whole/best/config.json")).unwrap();
    assert!(
        config.contains("\"iterations\": 1") && config.contains("RavenForTokenClassification"),
        "{config}"
    );

    let (model, data) = (text(&repository("models/tally-depth")), text(&folder("problems/train.jsonl")));
    let [out, first] = ["eval", "eval-1"].map(|name| text(&folder(name)));
    let reward = best.trim_end();
    let models = ["eval", "--data", &data, "--limit", "4", "--model", &model, "--reward", reward];
    let search = ["-n", "4", "--steps", "2", "--sampler", "noise", "--noise-std", "5", "--scope", "latent"];
    let all = ["--aggregate", "majority,best-of-n,weighted,beam", "--beams", "2", "--candidates", "2"];
    let table = succeed(&[&models[..], &search, &all, &["--every", "2", "--out", &out]].concat());
    assert!(table.contains("core passes a question"), "{table}");
    let found = report(Path::new(&out));
    let log = fs::read_to_string(folder("whole/log.jsonl")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let accuracies =
        lines.filter(|line| line["event"] == "validation").map(|line| line["best_of_n"].as_f64());
    // What the log says of the best checkpoint, `eval` finds as well.
    assert_eq!(
        found["accuracy"]["best-of-n"]["value"].as_f64(),
        accuracies.max_by(|a, b| a.partial_cmp(b).unwrap()).unwrap()
    );
    let passes = |by: &str, part: &str| found["core_passes"][by][part].as_f64().unwrap();
    assert_eq!(passes("majority", "thought"), 8.0);
    assert_eq!(passes("majority", "reward"), 0.0);
    assert_eq!(passes("best-of-n", "prompt"), passes("majority", "prompt"));
    // All positions of the prompt and eight states, once each; the generator's prompt lacks the thinking position, and takes two
    // iterations.
    for by in ["best-of-n", "weighted", "beam"] {
        assert_eq!(passes(by, "reward"), passes(by, "prompt") / 2.0 + 1.0 + 8.0, "{by}");
        let parts = ["prompt", "thought", "answer", "reward"].map(|part| passes(by, part));
        assert_eq!(passes(by, "total"), parts.iter().sum::<f64>(), "{by}");
    }
    // Pruned at the end alone, beams are trajectories of another stream; pruned at each step another search.
    succeed(&[&models[..], &search, &all, &["--out", &first]].concat());
    let setup = |out: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(Path::new(out).join("run.json")).unwrap()).unwrap()
    };
    assert_eq!([setup(&out), setup(&first)].map(|setup| setup["search"]["every"].clone()), [2, 1]);

    let chain = ["solve", "How many?", "-n", "2", "--reward", reward];
    assert!(refusal(&chain).contains("--reward"));
}

#[test]
fn a_study_has_a_row_a_model_and_repeats_none() {
    let place = prepared();
    let folder = |name: &str| place.path().join(name);
    let sampling = r#"{ trajectories = 4, perturbation = { sampler = "noise", std = 0.4, scope = "full" } }"#;
    let study = format!(
        "annotate = \"annotate.toml\"\ntrain = \"rm.toml\"\nrollouts = [0, 2]\nlayers = [1, 3]\n\
         test = {{ data = {:?}, questions = 6, sampling = {sampling} }}\n",
        abacus()
    );
    let (config, out) = (text(&folder("study.toml")), text(&folder("study")));
    fs::write(&config, &study).unwrap();
    let told = succeed(&["study-rm", "--config", &config, "--out", &out]);
    let table = fs::read_to_string(folder("study/study.md")).unwrap();
    for row in ["| final | 1 |", "| final | 3 |", "| 2 | 1 |", "| 2 | 3 |"] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert!(told.starts_with("6 questions, N = 4: majority"), "{told}");
    assert!(fs::read_to_string(folder("study/study.svg")).unwrap().contains("3 layers"));
    // Ends alone need no annotation of their own.
    assert!(!folder("study/rollouts-0").exists());
    let model = folder("study/model-rollouts-2-layers-1/best/model.safetensors");
    let written = fs::metadata(&model).unwrap().modified().unwrap();
    let json = succeed(&["study-rm", "--config", &config, "--out", &out, "--json"]);
    let rows = &serde_json::from_str::<serde_json::Value>(&json).unwrap()["rows"];
    assert_eq!(rows.as_array().unwrap().len(), 4);
    assert_eq!(fs::metadata(&model).unwrap().modified().unwrap(), written);

    fs::write(&config, study.replace("[1, 3]", "[3, 1]")).unwrap();
    let error = refusal(&["study-rm", "--config", &config, "--out", &out]);
    assert!(error.contains("layers") && error.contains("do not rise"), "{error}");
}
