//! `fathom score`: choices of a small recurrent-depth model by r and shots.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::binary::{refusal, repository, succeed, text};

/// Problems as the model was trained on, each with three numbers of two digits.
fn problems(count: usize) -> Vec<Value> {
    let problem = |i: usize| {
        let (has, buys) = (6 + i % 4, 5 + i % 3);
        let right = has + buys;
        let question =
            format!("Ann has {has} books. Ann buys {buys} books. how many books does Ann have now?");
        let choices = [right, right + 10, right + 3].map(|number| number.to_string());
        let turned: Vec<&String> = (0..3).map(|place| &choices[(place + i) % 3]).collect();
        json!({ "question": question, "choices": turned, "answer": choices[0] })
    };
    (0..count).map(problem).collect()
}

fn folder(lines: &[Value]) -> (TempDir, String) {
    let folder = tempdir().unwrap();
    let file = folder.path().join("choices.jsonl");
    fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let file = text(&file);
    (folder, file)
}

fn depth() -> String {
    text(&repository("models/tally-depth"))
}

fn lines(out: &Path) -> Vec<Value> {
    let results = fs::read_to_string(out.join("results.jsonl")).unwrap();
    results.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The model knows these sums at r = 8: without shots it finds them all. What it says does not depend on threads, on how many
/// questions there are, or on which other r are asked for.
#[test]
fn choices_are_scored_by_r_and_shots() {
    let (place, data) = folder(&problems(14));
    let (model, out) = (depth(), place.path().join("run"));
    let run = |out: &Path, more: &[&str]| {
        let fixed = ["score", "--model", &model, "--data", &data, "--seed", "5", "--out", &text(out)];
        succeed(&[&fixed[..], more].concat())
    };
    let told = run(&out, &["--steps", "8,1,0", "--shots", "0,2"]);
    assert!(told.contains("choices, 12 questions, largest log-likelihood, seed 5, chance 33.3 %"), "{told}");
    let scores: Value = serde_json::from_str(&fs::read_to_string(out.join("scores.json")).unwrap()).unwrap();
    assert_eq!(scores["rows"][0]["shots"], 0);
    assert_eq!(scores["rows"][0]["cells"][2]["steps"], 8);
    for by in ["none", "tokens", "bytes"] {
        assert_eq!(scores["rows"][0]["cells"][2][by]["value"], 1.0, "{by}: {told}");
    }
    let picture = fs::read_to_string(out.join("saturation.svg")).unwrap();
    assert!(picture.contains("0 shots") && picture.contains("2 shots") && picture.contains("chance"));

    let all = lines(&out);
    assert_eq!(all.len(), 2 * 12);
    // The first two are shots.
    assert_eq!((&all[0]["question"], &all[0]["shots"], &all[12]["shots"]), (&json!(2), &json!(0), &json!(2)));
    assert_eq!(all[0]["tokens"], json!([2, 2, 2]));
    let sums = all[0]["by_steps"][2]["log_likelihoods"].as_array().unwrap();
    let total: f64 = sums.iter().map(|sum| sum.as_f64().unwrap().exp()).sum();
    // The choices are three of all texts of two digits.
    assert!(total > 0.2 && total < 1.0 + 1e-6, "{sums:?}");

    let other = place.path().join("other");
    run(&other, &["--steps", "0,1,8", "--shots", "2,0", "--threads", "3"]);
    for file in ["results.jsonl", "scores.json", "saturation.svg"] {
        let [ours, theirs] = [&out, &other].map(|out| fs::read(out.join(file)).unwrap());
        assert!(ours == theirs, "{file}");
    }
    let few = place.path().join("few");
    run(&few, &["--steps", "1,8", "--shots", "2", "--limit", "3", "--dtype", "f32"]);
    for (few, all) in lines(&few).iter().zip(&all[12..]) {
        assert_eq!(few["by_steps"].as_array().unwrap()[..], all["by_steps"].as_array().unwrap()[1..]);
    }
}

#[test]
fn shots_may_come_from_another_set() {
    let (place, data) = folder(&problems(4));
    let (_other, shots) = folder(&problems(2));
    let (model, out) = (depth(), text(&place.path().join("run")));
    let fixed = ["score", "--model", &model, "--data", &data, "--shots", "1,2", "--shots-from", &shots];
    let json =
        succeed(&[&fixed[..], &["--steps", "4", "--json", "--normalise", "bytes", "--out", &out]].concat());
    let scores: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&scores["questions"], &scores["options"]["normalise"]), (&json!(4), &json!("bytes")));
    assert_eq!(scores["options"]["shots_from"]["questions"], 2);
}

#[test]
fn the_emulated_gpu_says_what_the_cpu_says() {
    let (place, data) = folder(&problems(2));
    let model = depth();
    let scored = |device: &str| {
        let out = place.path().join(device);
        let run = ["score", "--model", &model, "--data", &data, "--steps", "0,2", "--device", device];
        succeed(&[&run[..], &["--out", &text(&out)]].concat());
        lines(&out)
    };
    for (ours, cpus) in scored("emulated").iter().zip(scored("cpu")) {
        for at in 0..2 {
            let [ours, cpus] = [ours, &cpus].map(|line| &line["by_steps"][at]);
            assert_eq!(ours["chosen"], cpus["chosen"]);
            for choice in 0..3 {
                let [a, b] = [ours, cpus].map(|one| one["log_likelihoods"][choice].as_f64().unwrap());
                // Sums in another order, magnified by what follows them (docs/numerics.md).
                assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{a} for {b}");
            }
        }
    }
}

#[test]
fn what_cannot_be_scored_is_one_line() {
    let (place, data) = folder(&problems(3));
    let (model, chain) = (depth(), text(&repository("models/tally-coconut")));
    let long = json!({ "question": "many ".repeat(128), "choices": ["1", "12"], "answer": "A" });
    let (_long, long) = folder(&[problems(1).remove(0), long]);
    let (_bad, bad) =
        folder(&[problems(1).remove(0), json!({ "question": "q", "choices": ["1"], "answer": 0 })]);
    let score = |model: &str, data: &str, more: &[&str]| {
        refusal(&[&["score", "--model", model, "--data", data], more].concat())
    };
    for (model, data, more, expected) in [
        (&chain, &data, &[][..], "--model: is a latent chain-of-thought"),
        (&model, &data, &["--steps", "2,4,2"], "--steps: 2 stands twice"),
        (&model, &data, &["--steps", "0,0"], "--steps: 0 stands twice"),
        (&model, &data, &["--shots", "1,1"], "--shots: 1 stands twice"),
        (&model, &data, &["--shots", "4"], "--shots: 4 shots need as many items, and there are 3"),
        (&model, &data, &["--shots", "3"], "--shots: 3 shots leave no question to score"),
        (&model, &data, &["--normalise", "words"], "--normalise"),
        (&model, &data, &["--limit", "0"], "--limit"),
        (
            &model,
            &long,
            &[],
            "question 1: behind 0 shots: continuation: takes 129 positions with its prompt and does not fit the context of 128",
        ),
        (&model, &bad, &[], "choices.jsonl: line 2: `choices` must be at least two, not 1"),
        (&model, &data, &["--shots-from", "/no/such.jsonl"], "/no/such.jsonl"),
    ] {
        let error = score(model, data, more);
        assert!(error.contains(expected), "{more:?}: {error}");
    }
    let out = place.path().join("run");
    succeed(&["score", "--model", &model, "--data", &data, "--out", &text(&out)]);
    let error = score(&model, &data, &["--out", &text(&out)]);
    assert!(error.contains("already holds results.jsonl"), "{error}");
}
