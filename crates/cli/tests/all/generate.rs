//! `fathom generate`: texts of a small recurrent-depth model, every way to them, and what cannot be.

use std::fs;

use serde_json::Value;
use tempfile::tempdir;

use crate::binary::{fathom, refusal, repository, succeed, text};

const QUESTION: &str = "Ann has 18 apples. then Ann has twice as many apples. then Ann finds 15 apples. \
                        Ann gives 14 apples to Hugo. how many apples does Ann have now?";

const WORKED: &str = "<<18*2=36>>\n<<36+15=51>>\n<<51-14=37>>\n37";

fn model() -> String {
    text(&repository("models/tally-written"))
}

/// The text alone; its cost stands on standard error.
fn generated(more: &[&str]) -> String {
    let output = fathom(&[&["generate", "--model", &model(), QUESTION][..], more].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && told.contains("core passes"), "{more:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Plain, adaptive, drafted, and as a wavefront, on both devices: the same worked steps.
#[test]
fn every_way_works_the_steps_out() {
    for more in [
        &[][..],
        &["--exit", "kl"],
        &["--exit", "latent-diff", "--threshold", "0.1", "--every", "2", "--min-steps", "1"],
        &["--draft", "2"],
        &["--wave", "4"],
        &["--carry", "raw", "--steps", "4"],
        &["--cache", "latest-m4-compress-s2", "--steps", "8"],
        &["--device", "emulated", "--steps", "4", "--draft", "2"],
    ] {
        assert_eq!(generated(more).trim_end(), WORKED, "{more:?}");
    }
}

/// What it costs stands beside the text, in JSON with the steps of each token; a batch says what each prompt says alone.
#[test]
fn json_tells_steps_and_cost() {
    let short = "Ann has 7 books. Ann buys 5 books. how many books does Ann have now?";
    let model = model();
    let run = |more: &[&str]| -> Value {
        let fixed = ["generate", "--model", &model, "--json", "--exit", "kl"];
        serde_json::from_str(&succeed(&[&fixed[..], more].concat())).unwrap()
    };
    let both = run(&[QUESTION, short, "--batch", "2"]);
    for (index, prompt) in [QUESTION, short].into_iter().enumerate() {
        assert_eq!(both["continuations"][index], run(&[prompt])["continuations"][0], "{prompt}");
    }
    let first = &both["continuations"][0];
    assert_eq!((&first["text"], &first["end"]), (&WORKED.into(), &"end token".into()));
    let steps: Vec<u64> = first["steps"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(steps.len(), first["tokens"].as_array().unwrap().len());
    assert!(steps[0] == 16 && steps.iter().skip(1).all(|&n| n < 16), "{steps:?}");
    assert!(both["report"]["core_passes"].as_u64().unwrap() > 16);
}

/// A stop string ends the text before itself; so does the number of tokens.
#[test]
fn texts_stop_where_they_are_told() {
    assert_eq!(generated(&["--stop", "\n<<36"]).trim_end(), "<<18*2=36>>");
    assert_eq!(generated(&["--stop", ">>\n37", "--draft", "2"]).trim_end(), &WORKED[..WORKED.len() - 5]);
    assert_eq!(generated(&["--max-tokens", "1"]).trim_end(), "<<");
}

/// Sampled texts follow from the seed.
#[test]
fn samples_follow_from_the_seed() {
    let sampled =
        |seed| generated(&["--temperature", "3", "--top-k", "20", "--max-tokens", "12", "--seed", seed]);
    assert_eq!(sampled("1"), sampled("1"));
    assert_ne!(sampled("1"), sampled("2"));
}

#[test]
fn questions_of_a_file_are_judged() {
    let place = tempdir().unwrap();
    let file = place.path().join("two.jsonl");
    let line = |answer: &str| format!("{{\"question\":\"{QUESTION}\",\"answer\":\"{answer}\"}}\n");
    fs::write(&file, line("37") + &line("38")).unwrap();
    let told = succeed(&["generate", "--model", &model(), "--data", &text(&file), "--batch", "2"]);
    let row: Vec<&str> = told.lines().last().unwrap().split_whitespace().collect();
    assert!(told.contains("right, %") && row.contains(&"50"), "{told}");
}

#[test]
fn what_cannot_be_is_one_line() {
    let model = model();
    let chain = text(&repository("models/tally-coconut"));
    let long = "Ann ".repeat(300);
    for (arguments, named) in [
        (&["--model", &model][..], "PROMPT"),
        (&["--model", &chain, "x"], "recurrent depth"),
        (&["--model", &model, "x", "--cache", "newest"], "--cache: 'newest'"),
        (&["--model", &model, "x", "--cache", "compress-s3"], "multiple"),
        (&["--model", &model, "x", "--exit", "boredom"], "boredom"),
        (&["--model", &model, "x", "--exit", "kl", "--threshold", "-1"], "--threshold: -1"),
        (&["--model", &model, "x", "--exit", "kl", "--threshold", "1e300"], "--threshold: inf"),
        (&["--model", &model, "x", "--exit", "argmax-stability", "--threshold", "16"], "never reached"),
        (&["--model", &model, "x", "--exit", "kl", "--min-steps", "16"], "--min-steps"),
        (&["--model", &model, "x", "--exit", "kl", "--steps", "0"], "--steps"),
        (&["--model", &model, "x", "--limit", "3"], "--limit"),
        (&["--model", &model, "x", "--stop", ""], "--stop"),
        (&["--model", &model, "x", "--draft", "2", "--accept", "1.5"], "--accept"),
        (&["--model", &model, "x", "--threshold", "1"], "--threshold"),
        (&["--model", &model, "x", "--draft", "17"], "--draft"),
        (&["--model", &model, "x", "--draft", "2", "--exit", "kl"], "--exit"),
        (&["--model", &model, "x", "--draft", "2", "--carry", "raw"], "--carry"),
        (&["--model", &model, "x", "--wave", "2", "--batch", "2"], "--batch"),
        (&["--model", &model, "x", "--wave", "0"], "--wave:"),
        (&["--model", &model, "x", "--seed", "-1"], "whole number"),
        (&["--model", &model, "x", "--wave", "17"], "--wave:"),
        (&["--model", &model, "x", "--wave", "2", "--wave-width", "1"], "--wave-width"),
        (&["--model", &model, "x", "--wave", "2", "--ema", "nan"], "--ema: NaN"),
        (&["--model", &model, "x", "--wave", "2", "--headway", "1000000000000"], "--headway"),
        (&["--model", &model, "x", "--draft", "2", "--lookahead", "18446744073709551615"], "--lookahead"),
        (&["--model", &model, "x", "--repetition-penalty", "1e-40"], "--repetition-penalty"),
        (&["--model", &model, "x", "--template", "chat"], "knows no chat"),
        (&["--model", &model, "x", "--template", "haiku"], "haiku"),
        (&["--model", &model, "x", "--system", "be brief"], "--system"),
        (&["--model", &model, "x", "--top-p", "0"], "--top-p"),
        (&["--model", &model, "x", "--temperature", "-1"], "--temperature"),
        (&["--model", &model, &long], "context"),
    ] {
        let line = refusal(&[&["generate"], arguments].concat());
        assert!(line.contains(named), "{arguments:?}: {line}");
    }
}
