//! Greedy answers of the bundled model against those of the published implementation.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::binary::{abacus, copy, records, refusal, report, repository, succeed, text};

/// Greedy answers to the whole test set by index, and the share of right ones.
fn greedy(dtype: &str) -> (Vec<Option<f64>>, f64) {
    let folder = tempdir().expect("a temporary folder can be made");
    let out = text(folder.path());
    succeed(&["eval", "--data", &abacus(), "--sampler", "none", "--dtype", dtype, "--out", &out]);
    let answers = records(folder.path()).iter().map(|record| record["answers"][0].as_f64()).collect();
    let accuracy = report(folder.path())["accuracy"]["majority"]["value"].as_f64();
    (answers, accuracy.expect("the report has the majority's accuracy"))
}

/// All 1000 are equal, close decisions included. bf16 keeps 8 bits of every weight, key and value, so that a few
/// decisions turn; at least 99.5 % must not.
#[test]
fn greedy_answers_equal_the_published_ones_and_those_of_bf16_nearly_so() {
    let path = repository("models/abacus-coconut/reference_greedy.json");
    let reference: BTreeMap<String, Option<f64>> =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (ours, accuracy) = greedy("f32");
    assert_eq!((ours.len(), reference.len()), (1000, 1000));
    let differing: Vec<usize> = (0..1000).filter(|i| reference[&i.to_string()] != ours[*i]).collect();
    assert!(
        differing.is_empty(),
        "questions whose greedy answer differs from the published one: {differing:?}"
    );
    assert!((accuracy - 0.811).abs() < 1e-9, "the published accuracy is 81.1 %: {accuracy}");

    let (rounded, _) = greedy("bf16");
    let equal = ours.iter().zip(&rounded).filter(|(ours, rounded)| ours == rounded).count();
    assert!(equal >= 995, "{equal} of 1000 greedy answers in bf16 equal those in f32");
}

/// Samplers and majorities of the bundled model: what the CPU answers in f32.
#[test]
fn answers_on_the_emulated_gpu_are_the_cpus() {
    let answers = |device: &str, sampler: &str| {
        let folder = tempdir().expect("a temporary folder can be made");
        let out = text(folder.path());
        let data = abacus();
        let run = ["eval", "--data", &data, "--limit", "3", "-n", "4", "--sampler", sampler];
        succeed(&[&run[..], &["--device", device, "--out", &out]].concat());
        let answers = |record: &Value| (record["answers"].clone(), record["chosen"].clone());
        records(folder.path()).iter().map(answers).collect::<Vec<_>>()
    };
    for sampler in ["dropout", "noise", "none"] {
        assert_eq!(answers("emulated", sampler), answers("cpu", sampler), "{sampler}");
    }
}

/// A reward model's scores and beams on random weights, whose texts differ: what the CPU says.
#[test]
fn scores_on_the_emulated_gpu_are_near_the_cpus() {
    let folder = tempdir().expect("a temporary folder can be made");
    copy(&repository("tests/fixtures/colar-tiny"), folder.path());
    let tokenizer = repository("models/abacus-coconut/tokenizer.json");
    fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let few = r#"{ "max_new_tokens": 6, "latent_length": 2 }"#;
    fs::write(folder.path().join("generation_config.json"), few).unwrap();
    let (model, reward) = (text(folder.path()), text(&folder.path().join("latent_rm")));
    let solved = |device: &str| -> Value {
        let run = ["solve", "Ann has 11 stickers. Ann sells 2 of the stickers.", "-n", "4", "--json"];
        let search = ["--sampler", "noise", "--noise-std", "0.8", "--beams", "2", "--candidates", "2"];
        let choice = ["--aggregate", "majority,best-of-n,weighted,beam", "--device", device];
        let models = ["--model", &model, "--reward", &reward];
        serde_json::from_str(&succeed(&[&run[..], &search, &choice, &models].concat())).unwrap()
    };
    let (ours, cpus) = (solved("emulated"), solved("cpu"));
    assert_eq!(ours["chosen"], cpus["chosen"]);
    let answers = |solved: &Value| solved["answers"].as_array().expect("answers").clone();
    let pairs: Vec<_> = answers(&ours).into_iter().zip(answers(&cpus)).collect();
    assert_eq!(pairs.len(), 4);
    for (ours, cpus) in pairs {
        assert_eq!(ours["text"], cpus["text"]);
        let [score, expected] = [&ours, &cpus].map(|answer| answer["score"].as_f64().expect("a score"));
        // Sums in another order, magnified by what follows them (docs/numerics.md).
        assert!((score - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{score} for {expected}");
    }
}

/// The reward model of the states of recurrent depth, trained, and beams over depth: what the CPU says.
#[test]
fn scores_of_depth_on_the_emulated_gpu_are_near_the_cpus() {
    let model = text(&repository("models/tally-depth"));
    let reward = text(&repository("models/tally-depth/latent_rm"));
    let question = "Ben has 4 stickers. then Ben breaks 2 of the stickers. Ben loses 1 sticker. what is the number of \
                    stickers of Ben now?";
    let solved = |device: &str| -> Value {
        let search =
            ["-n", "4", "--steps", "2", "--sampler", "noise", "--noise-std", "5", "--scope", "latent"];
        let choice = ["--aggregate", "majority,best-of-n,weighted,beam", "--beams", "2", "--candidates", "2"];
        let models = ["--model", &model, "--reward", &reward, "--device", device, "--json"];
        serde_json::from_str(&succeed(&[&["solve", question], &search[..], &choice, &models].concat()))
            .unwrap()
    };
    let (ours, cpus) = (solved("emulated"), solved("cpu"));
    for part in ["chosen", "core_passes", "votes"] {
        assert_eq!(ours[part], cpus[part]);
    }
    // The majority of its four answers is wrong, and the one that scores best is right.
    assert_eq!([&cpus["chosen"]["majority"], &cpus["chosen"]["best-of-n"]], [0.0, 1.0]);
    let scores = |solved: &Value| -> Vec<f64> {
        let answers = solved["answers"].as_array().expect("answers");
        answers.iter().map(|answer| answer["score"].as_f64().expect("a score")).collect()
    };
    for (score, expected) in scores(&ours).into_iter().zip(scores(&cpus)) {
        // Sums in another order, magnified by what follows them (docs/numerics.md).
        assert!((score - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{score} for {expected}");
    }
}

/// A device that this build or this machine lacks is one clear line: no machine has a hundred GPUs.
#[test]
fn a_missing_device_is_named() {
    let folder = text(&repository("tests/fixtures/coconut-tiny"));
    let said = refusal(&["parity", &folder, "--device", "cuda:99"]);
    assert!(said.contains("'cuda:99'"), "{said}");
}

/// Strengths in JSON and tables are the decimals that were typed.
#[test]
fn no_digits_of_a_wider_type_are_printed() {
    let info: Value = serde_json::from_str(&succeed(&["info", "--json"])).unwrap();
    assert_eq!(info["default"]["dropout_p"].to_string(), "0.05");
    assert_eq!(info["default"]["noise_std"].to_string(), "0.3");
    let run = succeed(&["eval", "--data", &abacus(), "--limit", "2", "-n", "2", "--json"]);
    let run: Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["options"]["search"]["perturbation"]["p"].to_string(), "0.05");
    let solved = succeed(&["solve", "How many?", "-n", "2", "--sampler", "noise", "--json"]);
    let solved: Value = serde_json::from_str(&solved).unwrap();
    assert_eq!(solved["options"]["perturbation"]["std"].to_string(), "0.3");
}
