//! Multiple-choice sets: questions with choices, of which one is right, and the text that a choice continues.
//!
//! A set is a JSON array, or one JSON object a line, of `{question, choices, answer}`; other fields are ignored. `answer` is
//! the text of a choice, a letter (`A` is the first), or an index counted from 0. Questions and choices are joined as the common
//! harness joins them: a space before a choice, a blank line after each of the k shots, whose right choices are written out.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use fathom_model::tokenizer::Tokenizer;
use serde_json::{Map, Value};

use crate::dataset::{DatasetError, Fault, digest, name, parse_entries};
use crate::error::{Error, Result};

/// What stands between a shot and what follows it.
const BETWEEN: &str = "\n\n";

/// One question with its choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Place in the set, counted from 0.
    pub index: usize,
    /// As the file has it.
    pub question: String,
    /// At least two, none blank, all different.
    pub choices: Vec<String>,
    /// Index of the right one.
    pub answer: usize,
}

/// A whole set in file order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceSet {
    /// File name without its extension.
    pub name: String,
    /// SHA-256 of the file's bytes in lower-case hexadecimal.
    pub digest: String,
    /// The items; `items[i].index == i`.
    pub items: Vec<Item>,
}

/// A prompt and its continuations as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// What all continuations have before them.
    pub prompt: Vec<u32>,
    /// One a choice, none empty.
    pub continuations: Vec<Vec<u32>>,
}

/// Reads a set from a file.
///
/// # Errors
/// The first fault, with the file and the line or item.
pub fn read(path: &Path) -> std::result::Result<ChoiceSet, DatasetError> {
    let bytes = std::fs::read(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    parse(path, &bytes)
}

/// Reads a set from the bytes of a file; `path` names it and appears in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8]) -> std::result::Result<ChoiceSet, DatasetError> {
    let items = parse_entries(path, bytes, Item::take)?;
    Ok(ChoiceSet { name: name(path), digest: digest(bytes), items })
}

impl Item {
    fn take(index: usize, fields: &mut Map<String, Value>) -> std::result::Result<Self, Fault> {
        let question = match fields.remove("question") {
            Some(Value::String(text)) if text.trim().is_empty() => return Err(Fault::BlankQuestion),
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => return Err(Fault::Missing("question")),
            Some(_) => return Err(Fault::Type { field: "question", expected: "a string" }),
        };
        let choices = choices(fields.remove("choices"))?;
        let answer = match fields.get("answer") {
            Some(Value::String(text)) => by_name(text, &choices),
            Some(Value::Number(number)) => number
                .as_u64()
                .map(|index| index as usize)
                .filter(|&index| index < choices.len())
                .ok_or_else(|| number.to_string()),
            Some(Value::Null) | None => return Err(Fault::Missing("answer")),
            Some(_) => {
                return Err(Fault::Type { field: "answer", expected: "an index, a letter or a choice" });
            }
        };
        let answer = answer.map_err(|answer| Fault::NoSuchChoice { answer, count: choices.len() })?;
        Ok(Self { index, question, choices, answer })
    }

    /// The question with a choice behind it.
    fn with(&self, choice: &str) -> String {
        let apart = self.question.ends_with(char::is_whitespace) || choice.starts_with(char::is_whitespace);
        format!("{}{}{choice}", self.question, if apart { "" } else { " " })
    }

    /// Ids of the shots and the question, and of each choice behind them.
    ///
    /// A choice's tokens are those behind the longest beginning that the texts of all choices and the prompt alone share:
    /// where a tokenizer joins the end of a prompt with the beginning of a choice, every choice is scored from before there.
    ///
    /// # Errors
    /// A text that the tokenizer cannot encode; a choice that has no token of its own, or nothing before it.
    pub fn encode(&self, tokenizer: &Tokenizer, shots: &[Item]) -> Result<Encoded> {
        let right = |shot: &Item| shot.choices.get(shot.answer).map(|choice| shot.with(choice) + BETWEEN);
        let before: String = shots.iter().filter_map(right).collect();
        let prompt = tokenizer.encode(&format!("{before}{}", self.question), true)?;
        let whole =
            self.choices.iter().map(|choice| tokenizer.encode(&(before.clone() + &self.with(choice)), true));
        let whole = whole.collect::<fathom_model::Result<Vec<_>>>()?;
        let same = |ids: &Vec<u32>| ids.iter().zip(&prompt).take_while(|(a, b)| a == b).count();
        let shared = whole.iter().map(same).min().unwrap_or(0);
        let option = |what: &str| Error::Option { option: "choices", what: what.to_owned() };
        if shared == 0 {
            return Err(option("nothing stands before the first token of a choice"));
        }
        if let Some(choice) = whole.iter().position(|ids| ids.len() == shared) {
            return Err(option(&format!("choice {choice} has no token of its own")));
        }
        let continuations = whole.iter().map(|ids| ids[shared..].to_vec()).collect();
        Ok(Encoded { prompt: prompt[..shared].to_vec(), continuations })
    }
}

fn choices(field: Option<Value>) -> std::result::Result<Vec<String>, Fault> {
    let expected = || Fault::Type { field: "choices", expected: "a list of strings" };
    let list = match field {
        Some(Value::Array(list)) => list,
        Some(Value::Null) | None => return Err(Fault::Missing("choices")),
        Some(_) => return Err(expected()),
    };
    let text = |value| if let Value::String(text) = value { Ok(text) } else { Err(expected()) };
    let choices = list.into_iter().map(text).collect::<std::result::Result<Vec<_>, _>>()?;
    if choices.len() < 2 {
        return Err(Fault::FewChoices(choices.len()));
    }
    let mut seen = HashSet::new();
    for (index, choice) in choices.iter().enumerate() {
        if choice.trim().is_empty() {
            return Err(Fault::BlankChoice(index));
        }
        if !seen.insert(choice.trim()) {
            return Err(Fault::RepeatedChoice(choice.clone()));
        }
    }
    Ok(choices)
}

/// The choice of this text, else of this letter.
fn by_name(text: &str, choices: &[String]) -> std::result::Result<usize, String> {
    let text = text.trim();
    let letter = || {
        let mut letters = text.bytes();
        let letter = letters.next().filter(u8::is_ascii_alphabetic)?;
        letters.next().is_none().then(|| usize::from(letter.to_ascii_uppercase() - b'A'))
    };
    let found = choices.iter().position(|choice| choice.trim() == text);
    found.or_else(|| letter().filter(|&index| index < choices.len())).ok_or_else(|| text.to_owned())
}

/// Index of the largest of the values; the first among equals, and never one that is not a number.
pub fn best(values: &[f64]) -> Option<usize> {
    let numbers = values.iter().enumerate().filter(|(_, value)| !value.is_nan());
    numbers.reduce(|best, one| if one.1 > best.1 { one } else { best }).map(|(index, _)| index)
}

/// The smallest place in `values` that lies at most `slack` below the largest of them: where they cease to grow.
pub fn saturation(values: &[f64], slack: f64) -> Option<usize> {
    let top = best(values)?;
    values.iter().position(|&value| value >= values[top] - slack)
}

/// Consecutive ranges of `rows` that have at most `most` rows together, or one entry that has more.
pub fn batches(rows: &[usize], most: usize) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut sum = 0;
    for (index, &count) in rows.iter().enumerate() {
        sum += count;
        match ranges.last_mut().filter(|_| sum <= most) {
            Some(range) => range.end = index + 1,
            None => {
                ranges.push(index..index + 1);
                sum = count;
            }
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> std::result::Result<ChoiceSet, DatasetError> {
        parse(Path::new("data/set.jsonl"), text.as_bytes())
    }

    #[test]
    fn answers_are_texts_letters_or_indices() {
        let line =
            |answer: &str| format!(r#"{{"question":"q","choices":["B","no","1"],"answer":{answer},"id":7}}"#);
        for (answer, index) in
            [("\"no\"", 1), ("\" no \"", 1), ("\"B\"", 0), ("\"b\"", 1), ("\"C\"", 2), ("1", 1), ("\"1\"", 2)]
        {
            assert_eq!(set(&line(answer)).unwrap().items[0].answer, index, "{answer}");
        }
        let both = set(&format!("[{},{}]", line("0"), line("2"))).unwrap();
        assert_eq!((both.name.as_str(), both.items.len(), both.items[1].index), ("set", 2, 1));
    }

    #[test]
    fn faults_name_the_file_the_line_and_the_field() {
        let good = r#"{"question":"q","choices":["a","b"],"answer":0}"#;
        for (line, expected) in [
            (r#"{"choices":["a","b"],"answer":0}"#, "`question` is missing"),
            (r#"{"question":" ","choices":["a","b"],"answer":0}"#, "`question` is blank"),
            (r#"{"question":3,"choices":["a","b"],"answer":0}"#, "`question` must be a string"),
            (r#"{"question":"q","answer":0}"#, "`choices` is missing"),
            (r#"{"question":"q","choices":"a","answer":0}"#, "`choices` must be a list of strings"),
            (r#"{"question":"q","choices":["a",2],"answer":0}"#, "`choices` must be a list of strings"),
            (r#"{"question":"q","choices":["a"],"answer":0}"#, "`choices` must be at least two, not 1"),
            (r#"{"question":"q","choices":["a"," "],"answer":0}"#, "choice 1 is blank"),
            (r#"{"question":"q","choices":["a","a "],"answer":0}"#, "choice \"a \" stands twice"),
            (r#"{"question":"q","choices":["a","b"]}"#, "`answer` is missing"),
            (
                r#"{"question":"q","choices":["a","b"],"answer":2}"#,
                "`answer` is none of the 2 choices: \"2\"",
            ),
            (
                r#"{"question":"q","choices":["a","b"],"answer":-1}"#,
                "`answer` is none of the 2 choices: \"-1\"",
            ),
            (
                r#"{"question":"q","choices":["a","b"],"answer":"C"}"#,
                "`answer` is none of the 2 choices: \"C\"",
            ),
            (r#"{"question":"q","choices":["a","b"],"answer":[]}"#, "`answer` must be an index"),
            ("7", "expected an object"),
        ] {
            let error = set(&format!("{good}\n\n{line}\n")).unwrap_err().to_string();
            assert!(
                error.starts_with("data/set.jsonl: line 3: ") && error.contains(expected),
                "{line}: {error}"
            );
        }
        assert!(set(&format!("{good}\n{{")).unwrap_err().to_string().contains("malformed JSON at line 2"));
        assert!(set("\n").unwrap_err().to_string().contains("is empty"));
    }

    #[test]
    fn a_choice_stands_one_space_behind_its_question() {
        let item = |question: &str| Item {
            index: 0,
            question: question.to_owned(),
            choices: vec!["a".into(), " b".into()],
            answer: 0,
        };
        assert_eq!(item("Q:").with("a"), "Q: a");
        assert_eq!(item("Q:").with(" b"), "Q: b");
        assert_eq!(item("Q:\n").with("a"), "Q:\na");
    }

    #[test]
    fn the_first_of_the_largest_is_best() {
        assert_eq!(best(&[-3.0, -1.0, -1.0]), Some(1));
        assert_eq!(best(&[f64::NAN, f64::NEG_INFINITY]), Some(1));
        assert_eq!(best(&[f64::NAN]), None);
        assert_eq!(saturation(&[0.5, 0.78, 0.8, 0.79], 0.03), Some(1));
        assert_eq!(saturation(&[0.9, 0.2], 0.0), Some(0));
        assert_eq!(saturation(&[], 0.1), None);
    }

    #[test]
    fn batches_hold_as_much_as_fits_and_lose_nothing() {
        assert_eq!(batches(&[100, 100, 100, 300, 1, 1], 256), [0..2, 2..3, 3..4, 4..6]);
        assert!(batches(&[], 256).is_empty());
    }
}
