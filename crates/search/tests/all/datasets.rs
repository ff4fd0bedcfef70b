//! The reader on arbitrary bytes and on the sets under `data/`.

use std::path::{Path, PathBuf};

use fathom_search::dataset::{Dataset, parse, read};
use proptest::prelude::*;

fn data() -> PathBuf {
    PathBuf::from("../../data")
}

fn shipped(name: &str) -> Dataset {
    read(&data().join(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn shipped_sets_load_whole() {
    let size = |name| shipped(name).questions.len();
    assert_eq!(size("abacus_test.json"), 1000);
    assert_eq!(size("gsm_test.json"), 1319);
    assert_eq!(size("gsm_valid.json"), 500);
    assert_eq!(size("gsm_hard.json"), 1318);
}

#[test]
fn gold_answers_read_as_published() {
    let gsm = shipped("gsm_test.json");
    assert_eq!((gsm.questions[0].target, gsm.questions[2].target), (18.0, 70000.0));
    assert!(gsm.questions.iter().all(|q| q.target.fract() == 0.0));
    // Counts of PAL's set without its one truncated question.
    let hard = shipped("gsm_hard.json").questions;
    assert_eq!(hard.iter().filter(|q| q.target < 0.0).count(), 146);
    assert_eq!(hard.iter().filter(|q| q.target.fract() != 0.0).count(), 302);
}

#[test]
fn the_notice_states_what_the_files_are() {
    let notice = std::fs::read_to_string(data().join("README.md")).unwrap();
    let mut sets = 0;
    for entry in std::fs::read_dir(data()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let set = read(&path).unwrap();
            let line = notice.lines().find(|line| line.contains(&format!("`{}.json`", set.name)));
            let line = line.unwrap_or_else(|| panic!("{} is not in data/README.md", path.display()));
            assert!(line.contains(&set.digest), "{line}\n{}", set.digest);
            assert!(line.contains(&format!("| {} |", set.questions.len())), "{line}");
            sets += 1;
        }
    }
    assert!(sets > 0);
}

#[test]
fn every_truncation_is_an_error() {
    let whole =
        r#"[{"question":"How many?","answer":"4","steps":["<<2+2=4>>"]},{"question":"b","answer":5}]"#;
    for end in 0..whole.len() {
        assert!(parse(Path::new("set.json"), &whole.as_bytes()[..end]).is_err(), "{}", &whole[..end]);
    }
    assert!(parse(Path::new("set.json"), whole.as_bytes()).is_ok());
}

/// Fragments of an entry and whether they are good.
const QUESTIONS: [(&str, bool); 5] = [
    (r#""question":"How many?","#, true),
    (r#""question":" Why? ","#, true),
    (r#""question":" ","#, false),
    (r#""question":4,"#, false),
    ("", false),
];
const ANSWERS: [(&str, bool); 9] = [
    (r#""answer":"1,018","#, true),
    (r#""answer":-4e5,"#, true),
    (r##""answer":"so\n#### 7","##, true),
    (r#""answer":" 1_0 ","#, true),
    (r#""answer":"1e999","#, false),
    (r#""answer":"NaN","#, false),
    (r#""answer":"","#, false),
    (r#""answer":true,"#, false),
    ("", false),
];

proptest! {
    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(Path::new("set.json"), &bytes);
    }

    #[test]
    fn one_bad_entry_spoils_the_set(
        entries in prop::collection::vec(
            (prop::sample::select(&QUESTIONS[..]), prop::sample::select(&ANSWERS[..])),
            1..5,
        )
    ) {
        let objects: Vec<String> = entries.iter().map(|((q, _), (a, _))| format!("{{{q}{a}\"steps\":[]}}")).collect();
        let read = parse(Path::new("set.json"), format!("[{}]", objects.join(",")).as_bytes());
        match entries.iter().position(|((_, question), (_, answer))| !question || !answer) {
            Some(first) => {
                let message = read.unwrap_err().to_string();
                prop_assert!(message.starts_with(&format!("set.json: item {first}: ")), "{}", message);
            }
            None => prop_assert_eq!(read.unwrap().questions.len(), entries.len()),
        }
    }

    #[test]
    fn an_array_and_lines_say_the_same(
        pairs in prop::collection::vec(("[a-z\"\\\\\n\u{e9}]{1,9}", -1e300..1e300f64, any::<bool>()), 1..8)
    ) {
        let objects: Vec<String> = pairs
            .iter()
            .map(|(question, target, quoted)| {
                let answer = if *quoted { serde_json::json!(target.to_string()) } else { serde_json::json!(target) };
                serde_json::json!({"question": format!("{question}?"), "answer": answer, "steps": []}).to_string()
            })
            .collect();
        let array = parse(Path::new("a/set.json"), format!("[{}]", objects.join(",\n")).as_bytes()).unwrap();
        let lines = parse(Path::new("b/set.jsonl"), objects.join("\n").as_bytes()).unwrap();
        prop_assert_eq!((&array.name, &array.questions), (&lines.name, &lines.questions));
        for (read, (question, target, _)) in array.questions.iter().zip(&pairs) {
            prop_assert_eq!(&read.question, &format!("{question}?"));
            prop_assert_eq!(read.target.to_bits(), target.to_bits());
        }
    }
}
