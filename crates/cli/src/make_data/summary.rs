//! What was made, counted.

use fathom_model::tokenizer::Tokenizer;
use fathom_train::data::{Problem, Split};
use rayon::prelude::*;
use serde::Serialize;

use crate::table::{Align, Table};

/// Everything that is printed.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Tokens of the vocabulary.
    vocabulary: usize,
    splits: Vec<Part>,
}

/// One split; lengths are in tokens.
#[derive(Debug, PartialEq, Serialize)]
struct Part {
    split: &'static str,
    problems: usize,
    mean_question: f64,
    longest_question: usize,
    mean_steps: f64,
    mean_answer: f64,
    /// Problems of 1, 2, 3 … steps.
    by_steps: Vec<usize>,
}

impl Summary {
    /// Counts the problems of each split.
    ///
    /// # Errors
    /// Text that the tokenizer cannot encode.
    pub(super) fn new(tokenizer: &Tokenizer, problems: &[Vec<Problem>; 3]) -> fathom_model::Result<Self> {
        let parts = Split::ALL.into_iter().zip(problems).filter(|(_, problems)| !problems.is_empty());
        let splits =
            parts.map(|(split, problems)| Part::new(tokenizer, split, problems)).collect::<Result<_, _>>()?;
        Ok(Self { vocabulary: tokenizer.len(), splits })
    }

    /// Two tables: lengths, and how many problems have how many steps.
    pub(super) fn table(&self) -> String {
        let columns = ["problems", "question", "longest", "steps", "answer"].map(|name| (name, Align::Right));
        let mut lengths = Table::new([("split", Align::Left)].into_iter().chain(columns));
        for part in &self.splits {
            let [question, steps, answer] =
                [part.mean_question, part.mean_steps, part.mean_answer].map(|mean| format!("{mean:.1}"));
            let [problems, longest] = [part.problems, part.longest_question].map(|count| count.to_string());
            lengths.row([part.split, &problems, &question, &longest, &steps, &answer]);
        }
        let parts = self.splits.iter().map(|part| (part.split, Align::Right));
        let mut histogram = Table::new([("steps", Align::Right)].into_iter().chain(parts));
        let most = self.splits.iter().map(|part| part.by_steps.len()).max().unwrap_or(0);
        for steps in 0..most {
            let counts = self.splits.iter().map(|part| part.by_steps.get(steps).copied().unwrap_or(0));
            let cells: Vec<String> = counts.map(|count| count.to_string()).collect();
            if cells.iter().any(|cell| cell != "0") {
                histogram.row([(steps + 1).to_string()].into_iter().chain(cells));
            }
        }
        let vocabulary = self.vocabulary;
        format!(
            "{vocabulary} tokens; mean lengths in tokens\n\n{}\nproblems by steps\n\n{}",
            lengths.render(),
            histogram.render()
        )
    }
}

impl Part {
    fn new(tokenizer: &Tokenizer, split: Split, problems: &[Problem]) -> fathom_model::Result<Self> {
        let lengths: Vec<[usize; 3]> = problems
            .par_iter()
            .map(|problem| {
                let length = |text: &str| tokenizer.encode(text, false).map(|ids| ids.len());
                Ok([length(&problem.question)?, length(&problem.steps.concat())?, length(&problem.answer)?])
            })
            .collect::<fathom_model::Result<_>>()?;
        let mean = |part: fn(&[usize; 3]) -> usize| {
            lengths.iter().map(part).sum::<usize>() as f64 / lengths.len() as f64
        };
        let mut by_steps = Vec::new();
        for problem in problems {
            let steps = problem.steps.len();
            by_steps.resize(by_steps.len().max(steps), 0);
            by_steps[steps - 1] += 1;
        }
        Ok(Self {
            split: split.name(),
            problems: problems.len(),
            mean_question: mean(|&[question, ..]| question),
            longest_question: lengths.iter().map(|&[question, ..]| question).max().unwrap_or(0),
            mean_steps: mean(|&[_, steps, _]| steps),
            mean_answer: mean(|&[.., answer]| answer),
            by_steps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_hold_lengths_and_steps() {
        let part = |split, by_steps: &[usize]| Part {
            split,
            problems: by_steps.iter().sum(),
            mean_question: 21.25,
            longest_question: 40,
            mean_steps: 15.0,
            mean_answer: 2.0,
            by_steps: by_steps.to_vec(),
        };
        let summary =
            Summary { vocabulary: 146, splits: vec![part("train", &[0, 5, 7]), part("test", &[0, 1])] };
        let expected = "\
146 tokens; mean lengths in tokens

split  problems  question  longest  steps  answer
train        12      21.2       40   15.0     2.0
test          1      21.2       40   15.0     2.0

problems by steps

steps  train  test
    2      5     1
    3      7     0
";
        assert_eq!(summary.table(), expected);
    }
}
