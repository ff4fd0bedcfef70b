//! Files of questions with worked steps.
//!
//! The forms of [`fathom_search::dataset`], whose faults are the errors here, with the steps that it leaves out:
//! `{question, steps, answer}` as in GSM8K-Aug, or GSM8K's own `{question, answer}`, whose answer is a solution with
//! annotations `<<48/2=24>>` that ends in `#### 72`.

use std::path::Path;

use fathom_search::dataset::{self, DatasetError, Fault, Question};
use serde_json::{Map, Value};

/// What becomes of a solution in GSM8K's own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Worked {
    /// Its annotations are the steps, brackets included.
    #[default]
    Annotations,
    /// Its lines are the steps, as they stand.
    Sentences,
}

/// A question to learn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// As the file has it.
    pub question: String,
    /// Worked steps in order, without white space around them; none where the file has none.
    pub steps: Vec<String>,
    /// The answer as it is to be written: the text of the file without commas and white space around it.
    pub answer: String,
    /// The answer's number, finite.
    pub target: f64,
}

/// A whole set in file order; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Examples {
    /// File name without its extension.
    pub name: String,
    /// SHA-256 of the file's bytes in lower-case hexadecimal.
    pub digest: String,
    /// The questions.
    pub examples: Vec<Example>,
}

/// Reads a set from a file; the first fault found is the error.
///
/// # Errors
/// A file that cannot be read, is not JSON or JSONL, or holds an entry with a fault; each names file, entry and field.
pub fn read(path: &Path, worked: Worked) -> Result<Examples, DatasetError> {
    let bytes = std::fs::read(path).map_err(|source| DatasetError::Read { path: path.to_owned(), source })?;
    parse(path, &bytes, worked)
}

/// Reads a set from the bytes of a file; `path` names the set and appears in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(path: &Path, bytes: &[u8], worked: Worked) -> Result<Examples, DatasetError> {
    let examples = dataset::parse_entries(path, bytes, |index, fields| example(index, fields, worked))?;
    Ok(Examples { name: dataset::name(path), digest: dataset::digest(bytes), examples })
}

fn example(index: usize, fields: &mut Map<String, Value>, worked: Worked) -> Result<Example, Fault> {
    let Question { question, target, .. } = Question::take(index, fields)?;
    let answer = dataset::answer(fields)?;
    let steps = match fields.remove("steps") {
        Some(Value::Array(steps)) => steps.into_iter().map(text).collect::<Result<_, _>>()?,
        None | Some(Value::Null) => match (answer.rsplit_once("####"), worked) {
            (None, _) => Vec::new(),
            (Some((solution, _)), Worked::Annotations) => annotations(solution)?,
            (Some((solution, _)), Worked::Sentences) => solution.lines().map(str::to_owned).collect(),
        },
        Some(_) => return Err(NOT_STEPS),
    };
    let steps = steps.iter().map(|step| step.trim().to_owned()).filter(|step| !step.is_empty()).collect();
    let answer = dataset::stated(&answer).replace(',', "").trim().to_owned();
    Ok(Example { question, steps, answer, target })
}

const NOT_STEPS: Fault = Fault::Type { field: "steps", expected: "a list of strings" };

fn text(step: Value) -> Result<String, Fault> {
    match step {
        Value::String(text) => Ok(text),
        _ => Err(NOT_STEPS),
    }
}

/// `<<…>>` in their order, brackets included.
fn annotations(solution: &str) -> Result<Vec<String>, Fault> {
    let mut steps = Vec::new();
    for piece in solution.split("<<").skip(1) {
        match piece.split_once(">>") {
            Some((inside, _)) if !inside.trim().is_empty() => steps.push(format!("<<{inside}>>")),
            _ => return Err(Fault::Annotation(format!("<<{}", piece.lines().next().unwrap_or_default()))),
        }
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, worked: Worked) -> Result<Examples, DatasetError> {
        parse(Path::new("data/set.jsonl"), text.as_bytes(), worked)
    }

    /// The first problem of GSM8K's training split, in its own form.
    const NATALIA: &str = r##"{"question": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips did Natalia sell altogether in April and May?", "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\nNatalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May.\n#### 72"}"##;

    #[test]
    fn solutions_in_gsm8k_s_own_form() {
        let annotated = set(NATALIA, Worked::Annotations).unwrap();
        assert_eq!((annotated.name.as_str(), annotated.digest.len()), ("set", 64));
        let [example] = annotated.examples.as_slice() else { panic!("{annotated:?}") };
        assert_eq!(example.steps, ["<<48/2=24>>", "<<48+24=72>>"]);
        assert_eq!((example.answer.as_str(), example.target), ("72", 72.0));
        let told = set(NATALIA, Worked::Sentences).unwrap();
        assert_eq!(
            told.examples[0].steps,
            [
                "Natalia sold 48/2 = <<48/2=24>>24 clips in May.",
                "Natalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May."
            ]
        );
    }

    #[test]
    fn steps_of_their_own_are_optional_and_go_first() {
        let lines = r##"{"question": "q", "steps": [" <<1+1=2>> ", ""], "answer": "2"}
            {"question": " q ", "answer": "2,125"}
            {"question": "q", "steps": null, "answer": 3.5}
            {"question": "q", "steps": ["<<2*2=4>>"], "answer": "He has <<1+3=4>>4.\n#### 1,004 "}"##;
        for worked in [Worked::Annotations, Worked::Sentences] {
            let read = set(lines, worked).unwrap().examples;
            let steps: Vec<&[String]> = read.iter().map(|example| example.steps.as_slice()).collect();
            assert_eq!(steps, [&["<<1+1=2>>"][..], &[], &[], &["<<2*2=4>>"]]);
            let answers: Vec<&str> = read.iter().map(|example| example.answer.as_str()).collect();
            assert_eq!(answers, ["2", "2125", "3.5", "1004"]);
            assert_eq!(read[1].question, " q ");
        }
    }

    #[test]
    fn faults_name_the_file_the_place_and_the_field() {
        let second = |fields: &str| {
            let text = format!("{NATALIA}\n{fields}");
            set(&text, Worked::Annotations).unwrap_err().to_string()
        };
        for steps in ["3", "\"<<1+1=2>>\"", "[1]", "[[]]", "{}"] {
            assert_eq!(
                second(&format!(r#"{{"question": "q", "steps": {steps}, "answer": "2"}}"#)),
                "data/set.jsonl: line 2: `steps` must be a list of strings"
            );
        }
        for (solution, named) in
            [("a <<1+1=2 b", "<<1+1=2 b"), ("a <<>>2", "<<>>2"), ("<<1+<<1=2>>", "<<1+"), ("<< >>", "<< >>")]
        {
            assert_eq!(
                second(&format!(r#"{{"question": "q", "answer": "{solution}\n#### 2"}}"#)),
                format!("data/set.jsonl: line 2: `answer` has a malformed annotation: {named:?}")
            );
        }
        assert_eq!(second(r#"{"question": "q"}"#), "data/set.jsonl: line 2: `answer` is missing");
        assert_eq!(
            second(r##"{"question": "q", "answer": "one\n#### one"}"##),
            "data/set.jsonl: line 2: `answer` is not a number: \" one\""
        );
        let array =
            parse(Path::new("set.json"), b"[{\"question\": \"q\", \"answer\": 1}, 3]", Worked::Annotations);
        assert_eq!(
            array.unwrap_err().to_string(),
            "set.json: item 1: expected an object with `question` and `answer`"
        );
    }
}
