//! `fathom make-data`: what it writes, and what it refuses to write over.

use std::fs;

use crate::binary::{refusal, succeed, text};

const SMALL: [&str; 6] = ["--train", "30", "--valid", "4", "--test", "5"];

#[test]
fn settings_name_the_files() {
    let place = tempfile::tempdir().unwrap();
    let made = |name: &str, more: &[&str]| {
        let out = text(&place.path().join(name));
        let printed = succeed(&[&["make-data", "--out", &out][..], &SMALL, more].concat());
        let read = |file: &str| fs::read_to_string(place.path().join(name).join(file)).unwrap();
        assert!(printed.contains("problems by steps"), "{printed}");
        ["train.jsonl", "valid.jsonl", "test.jsonl", "tokenizer.json", "data.json"].map(read)
    };
    let first = made("first", &[]);
    assert_eq!(first, made("second", &[]));
    assert_eq!(first, made("first", &[]), "made again as it is");
    assert_eq!([0, 1, 2].map(|split: usize| first[split].lines().count()), [30, 4, 5]);
    let other = made("other", &["--seed", "1", "--steps", "5..6"]);
    assert_ne!(first[0], other[0]);
    assert_eq!(first[3], other[3], "one vocabulary for all");
}

#[test]
fn other_data_is_not_written_over_unasked() {
    let place = tempfile::tempdir().unwrap();
    let out = text(place.path());
    let with =
        |more: &[&'static str]| -> Vec<&str> { [&["make-data", "--out", &out][..], &SMALL, more].concat() };
    succeed(&with(&[]));
    let kept = fs::read(place.path().join("train.jsonl")).unwrap();
    let line = refusal(&with(&["--seed", "7"]));
    assert!(line.contains("seed") && line.contains("--overwrite"), "{line}");
    assert_eq!(fs::read(place.path().join("train.jsonl")).unwrap(), kept);
    succeed(&with(&["--seed", "7", "--overwrite"]));
    assert_ne!(fs::read(place.path().join("train.jsonl")).unwrap(), kept);
}

#[test]
fn impossible_settings_are_named() {
    let place = tempfile::tempdir().unwrap();
    let out = text(&place.path().join("out"));
    for (option, value) in [
        ("--steps", "0..3"),
        ("--steps", "3..2"),
        ("--steps", "9..9"),
        ("--factors", "1..2"),
        ("--persons", "5..5"),
        ("--operations", "root"),
        ("--distractors", "9"),
        ("--joined", "0"),
        ("--train", "-1"),
    ] {
        let line = refusal(&["make-data", "--out", &out, option, value]);
        assert!(line.contains(option), "{option} {value}: {line}");
    }
    let few = refusal(&[
        "make-data",
        "--out",
        &out,
        "--steps",
        "1..1",
        "--numbers",
        "2..2",
        "--operations",
        "double",
        "--persons",
        "1..1",
        "--train",
        "100000",
    ]);
    assert!(few.contains("different problems"), "{few}");
}
