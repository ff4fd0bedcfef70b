//! What is trained on: generated arithmetic word problems, the tokenizer of their words, and files of worked questions.
//!
//! A problem has the form of GSM8K-Aug (arXiv 2405.14838): a question, the worked steps `<<13-6=7>>`, an answer.
//! `docs/data.md` shows every kind of sentence.

mod difficulty;
mod draws;
mod event;
mod generate;
mod join;
mod lexicon;
mod read;
mod shape;
mod split;
mod story;
mod templates;
mod tokenizer;

pub use difficulty::{Difficulty, FACTORS, Operation, PERSONS, STEPS};
pub use generate::generate;
pub use lexicon::words;
pub use read::{Example, Examples, Worked, parse, read};
pub use split::{Sizes, Split, splits};
pub use tokenizer::tokenizer_files;

/// A generated problem. Its fields stand in a file in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// Sentences of the lexicon, the last one the question.
    pub question: String,
    /// One operation each, or as many as [`Difficulty::joined`] says, in the order of the sentences: `<<13-6=7>>`. The last result
    /// is the answer.
    pub steps: Vec<String>,
    /// A non-negative integer in decimal digits.
    pub answer: String,
}
