//! Evaluation sets: questions with a gold number (spec latenttts §5.4).
//!
//! A set is a JSON array, or one JSON object a line (JSONL), of `{question, answer}` objects; other fields, such as the
//! `steps` of GSM8K-Aug, are ignored. `answer` is a number, a string that holds one, or a worked solution in GSM8K's
//! original form, which ends in `#### 18`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::answer::parse_target;

/// One question and its gold answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Place in the data set, counted from 0; draws and reports refer to it.
    pub index: usize,
    /// The question as the file has it: neither stripped nor otherwise changed.
    pub question: String,
    /// Gold answer, finite.
    pub target: f64,
}

/// A whole evaluation set in file order; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// File name without its extension.
    pub name: String,
    /// SHA-256 of the file's bytes in lower-case hexadecimal, as `sha256sum` prints it.
    pub digest: String,
    /// The questions; `questions[i].index == i`.
    pub questions: Vec<Question>,
}

/// Where in a file an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Index in a JSON array, counted from 0.
    Item(usize),
    /// Line of a JSONL file, counted from 1.
    Line(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(index) => write!(f, "item {index}"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// Why a file is no evaluation set.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file is missing or unreadable.
    #[error("cannot read data set {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not text.
    #[error("{}: byte {offset} is not valid UTF-8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// First byte that is not UTF-8, counted from 0.
        offset: usize,
    },
    /// The text is not JSON, or ends early.
    #[error("{}: malformed JSON at line {line}, column {column}: {message}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1.
        column: usize,
        /// What was expected.
        message: String,
    },
    /// There is no question in the file.
    #[error("{}: the data set is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// One entry is no question with a finite answer.
    #[error("{}: {place}: {fault}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The entry.
        place: Place,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The entry is not a JSON object.
    #[error("expected an object with `question` and `answer`")]
    NotAnObject,
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field has another type than it must.
    #[error("`{field}` must be {expected}")]
    Type {
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The question is empty or white space.
    #[error("`question` is blank")]
    BlankQuestion,
    /// The answer is not a number.
    #[error("`answer` is not a number: {0:?}")]
    NotANumber(String),
    /// A worked solution opens `<<` and does not close it, or closes it empty.
    #[error("`answer` has a malformed annotation: {0:?}")]
    Annotation(String),
    /// The answer is infinite or NaN, which no trajectory could match.
    #[error("`answer` is not finite: {0:?}")]
    NotFinite(String),
    /// There is nothing to choose from.
    #[error("`choices` must be at least two, not {0}")]
    FewChoices(usize),
    /// A choice, counted from 0, is empty or white space.
    #[error("choice {0} is blank")]
    BlankChoice(usize),
    /// Two choices are the same text.
    #[error("choice {0:?} stands twice")]
    RepeatedChoice(String),
    /// The answer is neither the text of a choice, nor the letter or index of one.
    #[error("`answer` is none of the {count} choices: {answer:?}")]
    NoSuchChoice {
        /// What stands there.
        answer: String,
        /// How many choices there are.
        count: usize,
    },
}

/// Reads an evaluation set from a file; the first fault found is the error.
pub fn read(path: &Path) -> Result<Dataset, DatasetError> {
    let bytes = std::fs::read(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    parse(path, &bytes)
}

/// Reads an evaluation set from the bytes of a file; `path` names the set and appears in errors.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Dataset, DatasetError> {
    let questions = parse_entries(path, bytes, Question::take)?;
    Ok(Dataset { name: name(path), digest: digest(bytes), questions })
}

/// Reads the entries of a file of any of the forms; `entry` gets the index and the fields of each. Never empty.
pub fn parse_entries<T>(
    path: &Path,
    bytes: &[u8],
    entry: impl Fn(usize, &mut Map<String, Value>) -> Result<T, Fault>,
) -> Result<Vec<T>, DatasetError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| DatasetError::Encoding { path: path.to_owned(), offset: e.valid_up_to() })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let entries = if text.trim_start().starts_with('[') {
        array_entries(path, text)
    } else {
        line_entries(path, text)
    }?;
    if entries.is_empty() {
        return Err(DatasetError::Empty { path: path.to_owned() });
    }
    let read = |(index, (place, value))| {
        let Value::Object(mut fields) = value else { return Err((place, Fault::NotAnObject)) };
        entry(index, &mut fields).map_err(|fault| (place, fault))
    };
    let entries: Result<_, _> = entries.into_iter().enumerate().map(read).collect();
    entries.map_err(|(place, fault)| DatasetError::Entry { path: path.to_owned(), place, fault })
}

/// What a data set is called: its file's name without the extension.
pub fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// SHA-256 in lower-case hexadecimal, as `sha256sum` prints it.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn array_entries(path: &Path, text: &str) -> Result<Vec<(Place, Value)>, DatasetError> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|e| json_error(path, 0, &e))?;
    Ok(values.into_iter().enumerate().map(|(index, value)| (Place::Item(index), value)).collect())
}

fn line_entries(path: &Path, text: &str) -> Result<Vec<(Place, Value)>, DatasetError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(before, line)| {
            let value = serde_json::from_str(line).map_err(|e| json_error(path, before, &e))?;
            Ok((Place::Line(before + 1), value))
        })
        .collect()
}

/// `lines_before` is how many lines of the file precede the text that serde_json saw.
fn json_error(path: &Path, lines_before: usize, error: &serde_json::Error) -> DatasetError {
    let text = error.to_string();
    // serde_json appends its own position, which for JSONL would always be line 1.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned();
    DatasetError::Json {
        path: path.to_owned(),
        line: lines_before + error.line(),
        column: error.column(),
        message,
    }
}

impl Question {
    /// The question of an entry, and its answer's number; `question` leaves the fields.
    ///
    /// # Errors
    /// Fields that are missing, of another type, blank or without a finite number.
    pub fn take(index: usize, fields: &mut Map<String, Value>) -> Result<Self, Fault> {
        let question = match fields.remove("question") {
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => return Err(Fault::Missing("question")),
            Some(_) => return Err(Fault::Type { field: "question", expected: "a string" }),
        };
        if question.trim().is_empty() {
            return Err(Fault::BlankQuestion);
        }
        let answer = answer(fields)?;
        let stated = stated(&answer);
        let target = parse_target(stated).ok_or_else(|| Fault::NotANumber(stated.to_owned()))?;
        if !target.is_finite() {
            return Err(Fault::NotFinite(stated.to_owned()));
        }
        Ok(Self { index, question, target })
    }
}

/// The `answer` of an entry as text: a number, or a whole worked solution.
///
/// # Errors
/// An answer that is missing or neither string nor number.
pub fn answer(fields: &Map<String, Value>) -> Result<String, Fault> {
    match fields.get("answer") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Null) | None => Err(Fault::Missing("answer")),
        Some(_) => Err(Fault::Type { field: "answer", expected: "a number or a string" }),
    }
}

/// The part of an answer that states its number: what follows the last `####`, or all of it.
pub fn stated(answer: &str) -> &str {
    answer.rsplit_once("####").map_or(answer, |(_, stated)| stated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> Result<Dataset, DatasetError> {
        parse(Path::new("data/set.json"), text.as_bytes())
    }

    fn targets(text: &str) -> Vec<f64> {
        set(text).unwrap().questions.iter().map(|q| q.target).collect()
    }

    fn message(text: &str) -> String {
        set(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_every_form() {
        // GSM8K-Aug, GSM-Hard, MultiArith (spaces around the question), numbers, GSM8K's original solutions.
        let array = r##"[
            {"question": "Two and two?", "steps": ["<<2+2=4>>"], "answer": "4"},
            {"question": "Hard?", "answer": "-2.01e-06", "steps": ["Step 1", "Step 2"]},
            {"question": " How many plums? ", "answer": "1,234"},
            {"question": "Number?", "answer": 3.5},
            {"question": "Worked?", "answer": "He eats 16 - 3 = <<16-3=13>>13.\nSo 2 # 1.\n#### 1,018"}
        ]"##;
        let data = set(array).unwrap();
        assert_eq!(data.name, "set");
        assert_eq!(data.questions.iter().map(|q| q.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(data.questions[2].question, " How many plums? ");
        assert_eq!(targets(array), [4.0, -2.01e-6, 1234.0, 3.5, 1018.0]);
    }

    #[test]
    fn reads_lines_with_blanks_between() {
        let lines = "\u{feff}{\"question\":\"a\",\"answer\":\"1\"}\r\n\n{\"question\":\"b\",\"answer\":2}\n";
        let data = set(lines).unwrap();
        assert_eq!(data.questions[1].index, 1);
        assert_eq!(targets(lines), [1.0, 2.0]);
    }

    #[test]
    fn numbers_are_correctly_rounded() {
        // serde_json without `float_roundtrip` misses the first by one ulp.
        assert_eq!(targets(r#"[{"question":"q","answer":122.416294033786585}]"#), [122.416_294_033_786_58]);
        assert_eq!(targets(r#"[{"question":"q","answer":9007199254740993}]"#), [9007199254740992.0]);
    }

    #[test]
    fn digest_is_sha256_of_the_bytes() {
        // The one-block test vector of FIPS 180-4.
        assert_eq!(digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let (a, b) = (r#"[{"question":"a","answer":1}]"#, r#"[{"question":"a","answer":2}]"#);
        assert_ne!(set(a).unwrap().digest, set(b).unwrap().digest);
    }

    #[test]
    fn errors_name_the_file_the_place_and_the_field() {
        for empty in ["", " \n", "[]", "[ ]"] {
            assert_eq!(message(empty), "data/set.json: the data set is empty");
        }
        let entry = |fields: &str| message(&format!(r#"[{{"question":"q","answer":1}},{fields}]"#));
        assert_eq!(entry(r#"{"answer":1}"#), "data/set.json: item 1: `question` is missing");
        assert_eq!(entry(r#"{"question":null,"answer":1}"#), "data/set.json: item 1: `question` is missing");
        assert_eq!(entry(r#"{"question":"q"}"#), "data/set.json: item 1: `answer` is missing");
        assert_eq!(
            entry(r#"{"question":7,"answer":1}"#),
            "data/set.json: item 1: `question` must be a string"
        );
        assert_eq!(
            entry(r#"{"question":"q","answer":[1]}"#),
            "data/set.json: item 1: `answer` must be a number or a string"
        );
        assert_eq!(entry(r#"{"question":" \n","answer":1}"#), "data/set.json: item 1: `question` is blank");
        assert_eq!(
            entry(r#"{"question":"q","answer":"six"}"#),
            "data/set.json: item 1: `answer` is not a number: \"six\""
        );
        assert_eq!(
            entry(r#"{"question":"q","answer":"six #### "}"#),
            "data/set.json: item 1: `answer` is not a number: \" \""
        );
        assert_eq!(
            entry(r#"{"question":"q","answer":"-inf"}"#),
            "data/set.json: item 1: `answer` is not finite: \"-inf\""
        );
        assert_eq!(
            entry(r#"{"question":"q","answer":"nan"}"#),
            "data/set.json: item 1: `answer` is not finite: \"nan\""
        );
        assert_eq!(entry("3"), "data/set.json: item 1: expected an object with `question` and `answer`");
        assert_eq!(
            message("{\"question\":\"q\",\"answer\":1}\n\n{\"question\":\"q\"}"),
            "data/set.json: line 3: `answer` is missing"
        );
    }

    #[test]
    fn malformed_json_is_located() {
        let truncated = message("[\n{\"question\": \"q\", \"answer\": 1},\n{\"quest");
        assert!(
            truncated.starts_with("data/set.json: malformed JSON at line 3, column 7: EOF"),
            "{truncated}"
        );
        let third_line = message("{\"question\":\"q\",\"answer\":1}\n\n{\"question\"");
        assert!(
            third_line.starts_with("data/set.json: malformed JSON at line 3, column 11: EOF"),
            "{third_line}"
        );
        assert!(message("[] []").contains("malformed JSON at line 1"));
    }

    #[test]
    fn bytes_that_are_not_text() {
        let error = parse(Path::new("data/set.json"), b"[\xff]").unwrap_err();
        assert_eq!(error.to_string(), "data/set.json: byte 1 is not valid UTF-8");
    }

    #[test]
    fn missing_file() {
        let error = read(Path::new("no/such/set.json")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read data set no/such/set.json: "), "{error}");
    }
}
