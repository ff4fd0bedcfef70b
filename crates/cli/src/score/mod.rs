//! `fathom score`: multiple-choice sets at several numbers of iterations and of shots.

mod options;
mod picture;
mod report;

use std::fs::{self, File};
use std::path::Path;

use fathom_model::{
    huginn::{Continuation, Huginn},
    load::Network,
    tokenizer::Tokenizer,
};
use fathom_search::choices::{self, ChoiceSet, Encoded, Item, batches};

use crate::engine;
use crate::error::{Cause, Error, Result};
use crate::eval::setup::Data;
use crate::eval::workers::in_order;
use crate::output::{self, Journal};
use report::{Record, Report, Setup};

pub(crate) use options::ScoreArgs;

const RESULTS: &str = "results.jsonl";

/// Rows of one pass at most, unless one question has more.
const ROWS: usize = 256;

/// One question behind some shots.
struct Job<'a> {
    item: &'a Item,
    shots: usize,
    encoded: Encoded,
}

impl Job<'_> {
    fn continuations(&self) -> impl Iterator<Item = Continuation<'_>> {
        let prompt = &self.encoded.prompt;
        self.encoded.continuations.iter().map(|tokens| Continuation { prompt, tokens })
    }
}

/// Scores and prints.
///
/// # Errors
/// Bad options, data, model or folder; a choice that does not fit the context; a full disk.
pub(crate) fn run(arguments: &ScoreArgs) -> Result<()> {
    let (steps, shots) = arguments.lists()?;
    let set = choices::read(&arguments.data)?;
    let other = arguments.shots_from.as_deref().map(choices::read).transpose()?;
    let pool = &other.as_ref().unwrap_or(&set).items;
    let most = arguments.most_shots(&shots, pool.len())?;
    // The same questions for every number of shots.
    let scored = set.items.get(if other.is_some() { 0 } else { most }..).unwrap_or(&[]);
    let scored = &scored[..arguments.limit.map_or(scored.len(), |limit| limit.min(scored.len()))];
    if scored.is_empty() {
        return Err(Error::option("--shots", format!("{most} shots leave no question to score")));
    }
    crate::options::start_threads(arguments.threads)?;
    let (model, identity) = engine::load(&arguments.model, &arguments.device, arguments.dtype)?;
    let Network::Huginn(huginn) = &model.network else {
        let what = "is a latent chain-of-thought; choices are scored at several r of a recurrent-depth model";
        return Err(Error::option("--model", what));
    };
    let tokenizer = model.tokenizer.as_ref();
    let tokenizer = tokenizer.ok_or_else(|| Error::content(&arguments.model, "holds no tokenizer.json"))?;
    let jobs = jobs(huginn, tokenizer, &pool[..most], scored, &shots)?;
    let described = |set: &ChoiceSet| Data {
        name: set.name.clone(),
        digest: set.digest.clone(),
        questions: set.items.len(),
    };
    let setup = Setup {
        version: env!("CARGO_PKG_VERSION"),
        model: identity,
        device: arguments.device.to_string(),
        dtype: arguments.dtype.to_string(),
        data: described(&set),
        shots_from: other.as_ref().map(described),
        limit: arguments.limit,
        seed: arguments.seed,
        steps,
        shots,
        normalise: arguments.normalise,
    };
    let mut journal = arguments.out.as_deref().map(claim).transpose()?;
    let workers = if model.fits_cache() { rayon::current_num_threads() } else { 1 };
    let records = score(huginn, &jobs, &setup, workers, journal.as_mut())?;
    let report = Report::new(setup, scored, &records);
    if let (Some(out), Some(mut journal)) = (&arguments.out, journal) {
        journal.sync()?;
        output::write_atomic(&out.join("scores.json"), output::json(&report)?.as_bytes())?;
        picture::write(out, &report)?;
    }
    output::print(&if arguments.json { output::json(&report)? } else { report.table() })
}

/// Every question behind every number of shots, checked before anything is computed.
fn jobs<'a>(
    huginn: &Huginn,
    tokenizer: &Tokenizer,
    pool: &[Item],
    scored: &'a [Item],
    shots: &[usize],
) -> Result<Vec<Job<'a>>> {
    let mut jobs = Vec::with_capacity(scored.len() * shots.len());
    for &shots in shots {
        for item in scored {
            let named = |error: Cause| Error::Question {
                index: item.index,
                source: format!("behind {shots} shots: {error}").into(),
            };
            let encoded = item.encode(tokenizer, &pool[..shots]).map_err(|e| named(e.into()))?;
            let job = Job { item, shots, encoded };
            for continuation in job.continuations() {
                huginn.check_continuation(&continuation).map_err(|e| named(e.into()))?;
            }
            jobs.push(job);
        }
    }
    Ok(jobs)
}

/// Makes `path` a folder that holds no results yet, and begins them.
fn claim(path: &Path) -> Result<Journal<File>> {
    let file = path.join(RESULTS);
    if file.exists() {
        return Err(Error::content(path, format!("already holds {RESULTS}; name another folder")));
    }
    fs::create_dir_all(path).map_err(Error::file("create", path))?;
    let created = File::create_new(&file).map_err(Error::file("create", &file))?;
    Ok(Journal::new(file, created, File::sync_data))
}

/// Scores batches of whole questions, and writes a line a question as they come.
fn score(
    huginn: &Huginn,
    jobs: &[Job<'_>],
    setup: &Setup,
    workers: usize,
    mut journal: Option<&mut Journal<File>>,
) -> Result<Vec<Record>> {
    let rows: Vec<usize> = jobs.iter().map(|job| job.continuations().map(|one| one.rows()).sum()).collect();
    let passes = batches(&rows, ROWS);
    let work = |pass: usize| -> fathom_model::Result<Vec<Record>> {
        let jobs = &jobs[passes[pass].clone()];
        let all: Vec<Continuation<'_>> = jobs.iter().flat_map(Job::continuations).collect();
        let mut found = Vec::with_capacity(all.len());
        let rows: Vec<usize> = all.iter().map(Continuation::rows).collect();
        for range in batches(&rows, ROWS) {
            let part = &all[range];
            found.extend(rayon::scope(|_| huginn.log_likelihoods(part, &setup.steps, setup.seed))?);
        }
        let mut found = found.into_iter();
        let record = |job: &Job<'_>| {
            let by_choice = found.by_ref().take(job.item.choices.len()).collect();
            Record::new(job.item, job.shots, &job.encoded, by_choice, setup)
        };
        Ok(jobs.iter().map(record).collect())
    };
    let progress = output::progress("scoring", jobs.len(), "questions");
    let mut records = Vec::with_capacity(jobs.len());
    in_order(workers, passes.len(), work, |outcome| -> Result<()> {
        for record in outcome.map_err(|error| Error::Engine(error.into()))? {
            if let Some(journal) = &mut journal {
                journal.append(&record)?;
            }
            records.push(record);
            progress.inc(1);
        }
        Ok(())
    })?;
    progress.finish_and_clear();
    Ok(records)
}
