//! `fathom make-data`: generated problems, their splits and their tokenizer, in a folder.

mod folder;
mod summary;

use fathom_model::{folder::Folder, tokenizer::Tokenizer};
use fathom_train::data::{Difficulty, Problem, Sizes, Split, splits, tokenizer_files};
use serde::Serialize;

use crate::args::MakeDataArgs;
use crate::error::{Error, Result};
use crate::output;
use summary::Summary;

/// The content of data.json: equal settings give equal files.
#[derive(Debug, Serialize)]
struct Setup {
    /// Version of this program.
    version: &'static str,
    seed: u64,
    sizes: Sizes,
    difficulty: Difficulty,
}

/// Generates, writes and prints.
///
/// # Errors
/// Options that cannot be or leave too few problems, a folder that holds something else, a full disk.
pub(crate) fn run(arguments: &MakeDataArgs) -> Result<()> {
    let setup = setup(arguments)?;
    folder::claim(&arguments.out, &setup, arguments.overwrite)?;
    let [train, valid, test] = Split::ALL.map(|split| setup.sizes.of(split));
    let progress = output::progress("", train.saturating_add(valid).saturating_add(test), "problems");
    let found = |more: usize| progress.inc(more as u64);
    let problems = splits(setup.seed, &setup.difficulty, setup.sizes, found).map_err(named)?;
    progress.finish_and_clear();
    // Where these settings leave no such problems, whatever the folder held is still there.
    folder::begin(&arguments.out, &setup, arguments.overwrite)?;
    for (name, bytes) in tokenizer_files().map_err(named)? {
        output::write_atomic(&arguments.out.join(name), &bytes)?;
    }
    for (split, problems) in Split::ALL.into_iter().zip(&problems) {
        if !problems.is_empty() {
            output::write_atomic(&arguments.out.join(folder::file(split)), lines(problems)?.as_bytes())?;
        }
    }
    let engine = |error: fathom_model::Error| Error::Engine(error.into());
    let tokenizer = Tokenizer::read(&Folder::open(&arguments.out).map_err(engine)?).map_err(engine)?;
    let tokenizer = tokenizer.ok_or_else(|| Error::content(&arguments.out, "holds no tokenizer.json"))?;
    let summary = Summary::new(&tokenizer, &problems).map_err(engine)?;
    output::print(&if arguments.json { output::json(&summary)? } else { summary.table() })
}

fn setup(arguments: &MakeDataArgs) -> Result<Setup> {
    let difficulty = Difficulty {
        steps: arguments.steps.clone(),
        numbers: arguments.numbers.clone(),
        factors: arguments.factors.clone(),
        limit: arguments.limit,
        operations: arguments.operations.iter().copied().collect(),
        persons: arguments.persons.clone(),
        distractors: arguments.distractors,
        joined: arguments.joined,
    };
    difficulty.check().map_err(named)?;
    let sizes = Sizes { train: arguments.train, valid: arguments.valid, test: arguments.test };
    if Split::ALL.iter().all(|&split| sizes.of(split) == 0) {
        return Err(Error::option("--train", "no split is to hold a problem"));
    }
    Ok(Setup { version: env!("CARGO_PKG_VERSION"), seed: arguments.seed, sizes, difficulty })
}

/// A setting at fault by the option that sets it.
fn named(error: fathom_train::Error) -> Error {
    const OPTIONS: [&str; 11] = [
        "--steps",
        "--numbers",
        "--factors",
        "--limit",
        "--operations",
        "--persons",
        "--distractors",
        "--joined",
        "--train",
        "--valid",
        "--test",
    ];
    match error {
        fathom_train::Error::Option { option, what } => {
            let typed = OPTIONS.into_iter().find(|typed| typed.strip_prefix("--") == Some(option));
            Error::Option { option: typed.unwrap_or(option), what }
        }
        other => Error::Engine(other.into()),
    }
}

/// One problem a line.
fn lines(problems: &[Problem]) -> Result<String> {
    let mut text = String::new();
    for problem in problems {
        text += &serde_json::to_string(problem).map_err(|e| Error::Engine(e.into()))?;
        text.push('\n');
    }
    Ok(text)
}
