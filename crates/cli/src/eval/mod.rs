//! `fathom eval`: a data set, question by question, into a folder that survives being killed.

mod folder;
pub(crate) mod merge;
mod picture;
mod record;
mod report;
pub(crate) mod setup;
mod summary;
mod sweep;
mod sweep_picture;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod workers;

use std::path::Path;
use std::time::Instant;

use fathom_search::dataset::{self, Dataset, Question};
use fathom_search::solver::{Outcome, SearchOptions};
use indicatif::ProgressBar;

use crate::args::EvalArgs;
use crate::engine::{self, Engine};
use crate::error::{Cause, Error, Result};
use crate::output;
use record::Record;
use report::Report;
use setup::{Data, Setup, point_name, point_names};
use workers::in_order;

/// Evaluates and prints.
///
/// # Errors
/// Bad options, data, model or folder; a question that the model cannot read; a full disk.
pub(crate) fn run(arguments: &EvalArgs) -> Result<()> {
    let settings = arguments.search.check(&arguments.model)?;
    let data = dataset::read(&arguments.data)?;
    arguments.model.start_threads()?;
    let searches = settings.resolve(&engine::defaults(&arguments.model)?);
    match searches.as_slice() {
        [search] => {
            if let Some(out) = &arguments.out {
                folder::claim(out, arguments.resume)?;
            }
            let report = run_one(arguments, &data, search, arguments.out.as_deref())?;
            output::print(&if arguments.json { output::json(&report)? } else { summary::one(&report) })
        }
        _ => run_sweep(arguments, &data, &searches),
    }
}

fn run_sweep(arguments: &EvalArgs, data: &Dataset, searches: &[SearchOptions]) -> Result<()> {
    let names = point_names(searches.iter());
    let out = arguments.out.as_deref();
    let folders = out.map(|out| sweep::claim(out, &names, arguments.resume)).transpose()?;
    let mut reports = Vec::new();
    for (i, search) in searches.iter().enumerate() {
        let folder = folders.as_ref().and_then(|folders| folders.get(i));
        reports.push(run_one(arguments, data, search, folder.map(|path| path.as_path()))?);
    }
    if let Some(out) = out {
        sweep::write(out, &reports)?;
    }
    print_sweep(&reports, arguments.json)
}

fn print_sweep(reports: &[Report], json: bool) -> Result<()> {
    output::print(&if json { output::json(&sweep::Sweep { runs: reports })? } else { summary::many(reports) })
}

fn run_one(
    arguments: &EvalArgs,
    data: &Dataset,
    search: &SearchOptions,
    folder: Option<&Path>,
) -> Result<Report> {
    let engine = engine::open(&arguments.model, search)?;
    let setup = setup_of(arguments, data, search, &engine);
    let questions: Vec<&Question> = setup.indices().map(|i| &data.questions[i]).collect();
    let progress = output::progress(&point_name(&search.perturbation), questions.len(), "questions");
    let workers = if engine.fits_cache() { rayon::current_num_threads() } else { 1 };
    let report = evaluate(&setup, &questions, folder, &progress, workers, |question| engine.solve(question));
    progress.finish_and_clear();
    report
}

fn setup_of(arguments: &EvalArgs, data: &Dataset, search: &SearchOptions, engine: &Engine) -> Setup {
    Setup {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: engine.model.clone(),
        reward: engine.reward.clone(),
        device: arguments.model.device.to_string(),
        dtype: arguments.model.dtype.to_string(),
        data: Data { name: data.name.clone(), digest: data.digest.clone(), questions: data.questions.len() },
        limit: arguments.limit,
        shard: arguments.shard,
        search: search.clone(),
    }
}

/// Solves those of `questions` that `folder` does not hold yet, `workers` at a time, and reports on all of them.
///
/// # Errors
/// A folder of another run, a question that `solve` refuses, a full disk; finished questions stay in the folder.
fn evaluate<E: Into<Cause>>(
    setup: &Setup,
    questions: &[&Question],
    folder: Option<&Path>,
    progress: &ProgressBar,
    workers: usize,
    solve: impl Fn(&str) -> std::result::Result<Outcome, E> + Sync,
) -> Result<Report> {
    let opened = folder.map(|path| folder::open(path, setup, questions)).transpose()?;
    let (mut journal, mut records) = match opened {
        Some(opened) => (Some(opened.journal), opened.done),
        None => (None, Vec::new()),
    };
    progress.set_position(records.len() as u64);
    progress.reset_eta();
    let left = &questions[records.len()..];
    let work = |index: usize| {
        let question = left[index];
        let outcome = solve(&question.question).map_err(Into::into);
        outcome.map_err(|source| Error::Question { index: question.index, source })
    };
    let mut since = Instant::now();
    in_order(workers, left.len(), work, |outcome| -> Result<()> {
        // A question's time is what it adds to the run's: the times add up to it, however many ran at once.
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        let record = Record::new(questions[records.len()], &outcome?, seconds);
        if let Some(journal) = &mut journal {
            journal.append(&record)?;
        }
        records.push(record);
        progress.inc(1);
        Ok(())
    })?;
    let report = Report::new(setup, &records)?;
    if let (Some(path), Some(journal)) = (folder, &mut journal) {
        journal.sync()?;
        folder::finish(path, setup, &records, &report)?;
    }
    Ok(report)
}
