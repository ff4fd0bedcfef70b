//! Generated problems: pure, right, apart, and within their vocabulary.

use std::{collections::HashSet, fs};

use fathom_model::{folder::Folder, tokenizer::Tokenizer};
use fathom_train::data::{
    Difficulty, Operation, Problem, Sizes, Split, Worked, generate, read, splits, tokenizer_files,
};

/// From the plainest to everything at once.
fn difficulties() -> Vec<Difficulty> {
    let plain = Difficulty { persons: 1..=1, operations: [Operation::Add].into(), ..Difficulty::default() };
    let hard = Difficulty { steps: 4..=8, persons: 2..=3, distractors: 4, ..Difficulty::default() };
    vec![plain, Difficulty::default(), hard]
}

/// The results of the steps, worked out anew.
fn results(problem: &Problem) -> Vec<i64> {
    let worked = |step: &String| {
        let inner = step.strip_prefix("<<").and_then(|step| step.strip_suffix(">>")).unwrap();
        let (sides, result) = inner.split_once('=').unwrap();
        let at = sides.find(['+', '-', '*', '/']).unwrap();
        let [a, b] = [&sides[..at], &sides[at + 1..]].map(|side| side.parse::<i64>().unwrap());
        let expected = match &sides[at..=at] {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            _ => {
                assert_eq!(a % b, 0, "{step}");
                a / b
            }
        };
        assert_eq!(result.parse::<i64>().unwrap(), expected, "{step}");
        expected
    };
    problem.steps.iter().map(worked).collect()
}

#[test]
fn answers_follow_from_their_steps() {
    for difficulty in difficulties() {
        for index in 0..400 {
            let problem = generate(3, index, &difficulty).unwrap();
            assert_eq!(problem, generate(3, index, &difficulty).unwrap(), "a pure function");
            let results = results(&problem);
            assert!(difficulty.steps.contains(&(results.len() as u32)), "{problem:?}");
            assert!(
                results.iter().all(|result| (0..=i64::from(difficulty.limit)).contains(result)),
                "{problem:?}"
            );
            assert_eq!(results.last().unwrap().to_string(), problem.answer, "{problem:?}");
        }
    }
}

/// Joined steps tell the same story: no operation is lost, none holds too many, and each ends with its result.
#[test]
fn joined_steps_hold_the_same_operations() {
    let operations = |step: &String| step.matches(['+', '-', '*', '/']).count();
    for difficulty in difficulties() {
        for index in 0..100 {
            let plain = generate(3, index, &difficulty).unwrap();
            let joined = generate(3, index, &Difficulty { joined: 3, ..difficulty.clone() }).unwrap();
            assert_eq!((&joined.question, &joined.answer), (&plain.question, &plain.answer));
            assert!(joined.steps.iter().all(|step| (1..=3).contains(&operations(step))), "{joined:?}");
            assert_eq!(joined.steps.iter().map(operations).sum::<usize>(), plain.steps.len(), "{joined:?}");
            let ends: Vec<&str> = plain.steps.iter().map(|step| &step[step.find('=').unwrap()..]).collect();
            assert!(
                joined.steps.iter().all(|step| ends.contains(&&step[step.find('=').unwrap()..])),
                "{joined:?}"
            );
        }
    }
}

/// Whatever seeds and sizes: no question of one split stands in another.
#[test]
fn splits_share_no_question() {
    let sizes = Sizes { train: 3000, valid: 300, test: 1500 };
    let all: Vec<[Vec<Problem>; 3]> =
        [1, 2].map(|seed| splits(seed, &Difficulty::default(), sizes, |_| ()).unwrap()).into();
    let questions = |split: Split| -> HashSet<&str> {
        let problems = all.iter().flat_map(|sets| &sets[split as usize]);
        problems.map(|problem| problem.question.as_str()).collect()
    };
    for set in &all {
        assert_eq!([&set[0], &set[1], &set[2]].map(Vec::len), [3000, 300, 1500]);
        for problems in set {
            let distinct: HashSet<&str> = problems.iter().map(|problem| problem.question.as_str()).collect();
            assert_eq!(distinct.len(), problems.len());
        }
    }
    for (one, other) in
        [(Split::Train, Split::Valid), (Split::Train, Split::Test), (Split::Valid, Split::Test)]
    {
        assert!(questions(one).is_disjoint(&questions(other)), "{one} and {other}");
    }
    let fewer = splits(1, &Difficulty::default(), Sizes { train: 100, valid: 0, test: 7 }, |_| ()).unwrap();
    assert_eq!((&fewer[0][..], &fewer[2][..]), (&all[0][0][..100], &all[0][2][..7]));
}

/// A file of problems reads back, and every token of it is one of the vocabulary.
#[test]
fn the_vocabulary_is_closed() {
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in tokenizer_files().unwrap() {
        fs::write(place.path().join(name), bytes).unwrap();
    }
    let tokenizer = Tokenizer::read(&Folder::open(place.path()).unwrap()).unwrap().unwrap();
    let unknown = tokenizer.require("<|unk|>").unwrap();
    for difficulty in difficulties() {
        let problems: Vec<Problem> = (0..200).map(|index| generate(9, index, &difficulty).unwrap()).collect();
        let path = place.path().join("set.jsonl");
        let lines: Vec<String> =
            problems.iter().map(|problem| serde_json::to_string(problem).unwrap()).collect();
        fs::write(&path, lines.join("\n")).unwrap();
        let set = read(&path, Worked::Annotations).unwrap();
        for (example, problem) in set.examples.iter().zip(&problems) {
            assert_eq!((&example.question, &example.steps), (&problem.question, &problem.steps));
            assert_eq!(example.answer, problem.answer);
            let text = format!("{}\n{}### {}", example.question, example.steps.concat(), example.answer);
            let ids = tokenizer.encode(&text, false).unwrap();
            assert!(!ids.contains(&unknown), "{text}");
        }
    }
}
