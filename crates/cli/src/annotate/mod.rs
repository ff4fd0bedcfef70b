//! `fathom annotate`: what reward models learn from, file by file into a folder that survives being killed.

mod folder;
mod summary;

use std::path::Path;
use std::time::Instant;

use fathom::Device;
use fathom_search::dataset::{self, Question};
use fathom_train::annotate::{AnnotateConfig, Annotation, Annotator, Part, Setup, shards};
use serde::Serialize;

use crate::args::AnnotateArgs;
use crate::engine;
use crate::error::{Error, Result};
use crate::eval::setup::Shard;
use crate::eval::workers::in_order;
use crate::options::start_threads;
use crate::output;

/// Annotates what the folder does not hold yet, and prints what it then holds.
///
/// # Errors
/// A configuration, data set, model or folder that cannot be used; a question that the model cannot read; a full disk.
pub(crate) fn run(arguments: &AnnotateArgs) -> Result<()> {
    start_threads(arguments.threads)?;
    let config = AnnotateConfig::read(&arguments.config).map_err(failed)?;
    let (annotator, zeros) = complete(&config, &arguments.out, arguments.shard, &arguments.device)?;
    let summary = summary::Summary::read(&arguments.out, &annotator, zeros)?;
    output::print(&if arguments.json { output::json(&summary)? } else { summary.text() })
}

/// Annotates what `out` does not hold yet; returns what did, and how many gold answers are 0.
///
/// # Errors
/// As [`run`].
pub(crate) fn complete(
    config: &AnnotateConfig,
    out: &Path,
    shard: Option<Shard>,
    device: &Device,
) -> Result<(Annotator, usize)> {
    let data = dataset::read(&config.data)?;
    let (model, identity) = engine::generator(&config.model, device)?;
    let AnnotateConfig { rollouts, keep, questions_a_file, sampling, .. } = *config;
    let annotator = Annotator::new(model, sampling, rollouts, keep).map_err(failed)?;
    let Shard { index, count } = shard.unwrap_or(Shard { index: 1, count: 1 });
    let setup = Setup {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: identity,
        device: device.to_string(),
        data: data.digest,
        questions: config.questions.unwrap_or(usize::MAX).min(data.questions.len()),
        rollouts,
        keep,
        questions_a_file,
        sampling,
        part: Part { index, count },
    };
    let questions: Vec<&Question> = setup.indices().map(|i| &data.questions[i]).collect();
    annotate(&annotator, &setup, &questions, out)?;
    let zeros = questions.iter().filter(|question| question.target == 0.0).count();
    Ok((annotator, zeros))
}

fn failed(cause: fathom_train::Error) -> Error {
    Error::Engine(cause.into())
}

/// A line of the log: a file that is whole.
#[derive(Debug, Serialize)]
struct Line<'a> {
    file: &'a str,
    questions: usize,
    kept: usize,
    all_right: usize,
    all_wrong: usize,
    rollouts: usize,
    seconds: f64,
}

fn annotate(annotator: &Annotator, setup: &Setup, questions: &[&Question], out: &Path) -> Result<()> {
    let mut log = folder::open(out, setup)?;
    let files: Vec<&[&Question]> = questions.chunks(setup.questions_a_file).collect();
    let name = |k: usize| shards::name(k, setup.rank());
    let missing: Vec<usize> = (0..files.len()).filter(|&k| !out.join(name(k)).exists()).collect();
    let left: Vec<(usize, &Question)> =
        missing.iter().flat_map(|&k| files[k].iter().map(move |&question| (k, question))).collect();
    let progress = output::progress("annotate", questions.len(), "questions");
    progress.set_position((questions.len() - left.len()) as u64);
    progress.reset_eta();
    let workers = if annotator.model().fits_cache() { rayon::current_num_threads() } else { 1 };
    let work = |at: usize| {
        let (k, question) = left[at];
        // Inside the pool operations split their work without waking it each time.
        let annotation = rayon::scope(|_| annotator.annotate(question));
        let wrong =
            |source: fathom_train::Error| Error::Question { index: question.index, source: source.into() };
        annotation.map(|annotation| (k, annotation)).map_err(wrong)
    };
    let begun = Instant::now();
    let (mut since, mut rollouts, mut done) = (begun, 0, 0);
    let mut file: Vec<Annotation> = Vec::new();
    let taken = in_order(workers, left.len(), work, |outcome| -> Result<()> {
        let (k, annotation) = outcome?;
        (done, rollouts) = (done + 1, rollouts + annotation.rollouts);
        let seconds = begun.elapsed().as_secs_f64();
        progress.inc(1);
        progress.set_message(format!(
            "{:.1} questions/s, {:.0} rollouts/s",
            f64::from(done) / seconds,
            rollouts as f64 / seconds
        ));
        file.push(annotation);
        if file.len() < files[k].len() {
            return Ok(());
        }
        let bytes = shards::encode(&file).map_err(failed)?;
        output::write_atomic(&out.join(name(k)), &bytes)?;
        log.append(&line(&name(k), &file, since.elapsed().as_secs_f64()))?;
        since = Instant::now();
        file.clear();
        Ok(())
    });
    progress.finish_and_clear();
    taken?;
    log.sync()
}

fn line<'a>(name: &'a str, file: &[Annotation], seconds: f64) -> Line<'a> {
    let of = |all: bool| file.iter().filter(|one| one.correct.iter().all(|&right| right == all)).count();
    Line {
        file: name,
        questions: file.len(),
        kept: file.iter().filter(|one| one.kept.is_some()).count(),
        all_right: of(true),
        all_wrong: of(false),
        rollouts: file.iter().map(|one| one.rollouts).sum(),
        seconds,
    }
}
