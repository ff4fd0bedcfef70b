//! `fathom trace`: what latents do step by step, as data and as pictures.

mod data;
mod options;
mod pictures;

use std::fs;
use std::path::Path;

use fathom_model::perturbation::Perturbation;
use fathom_search::aggregate::Aggregation;
use fathom_search::solver::SearchOptions;
use fathom_search::trace::trace;

use crate::engine;
use crate::error::{Error, Result};
use crate::output;
use data::{Summary, Traced, recorded, tensors};

pub(crate) use options::TraceArgs;

const SUMMARY: &str = "trace.json";

/// Records, draws and prints.
///
/// # Errors
/// Bad options, data, model or folder; a question that the model cannot read; a full disk.
pub(crate) fn run(arguments: &TraceArgs) -> Result<()> {
    let asked = arguments.asked()?;
    claim(&arguments.out)?;
    arguments.model.start_threads()?;
    let options = arguments.recorded(&engine::defaults(&arguments.model)?);
    // What the solver itself would do with a question; it lends its model, and checks that all fits together.
    let search = SearchOptions {
        n: 1,
        perturbation: Perturbation::None,
        steps: options.steps,
        aggregate: vec![Aggregation::Majority],
        beams: 1,
        every: 1,
        candidates: 1,
        seed: options.seed,
        max_answer_tokens: options.max_answer_tokens,
    };
    let engine = engine::open(&arguments.model, &search)?;
    let progress = output::progress("tracing", asked.len(), "questions");
    let (mut questions, mut states) = (Vec::with_capacity(asked.len()), Vec::new());
    for one in &asked {
        let found = trace(engine.solver(), &one.question, &options)
            .map_err(|error| Error::Question { index: one.index, source: error.into() })?;
        questions.push(Traced::new(one, &found));
        states.extend(recorded(one, &found));
        progress.inc(1);
    }
    progress.finish_and_clear();
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        model: engine.model,
        reward: engine.reward,
        device: arguments.model.device.to_string(),
        dtype: arguments.model.dtype.to_string(),
        options,
        questions,
    };
    output::write_atomic(&arguments.out.join("trace.safetensors"), &tensors(&states)?)?;
    pictures::write(&arguments.out, &summary)?;
    let json = output::json(&summary)?;
    output::write_atomic(&arguments.out.join(SUMMARY), json.as_bytes())?;
    output::print(&if arguments.json { json } else { summary.table() })
}

/// Makes `path` a folder without a trace.
fn claim(path: &Path) -> Result<()> {
    if path.join(SUMMARY).exists() {
        return Err(Error::content(path, format!("already holds {SUMMARY}; name another folder")));
    }
    fs::create_dir_all(path).map_err(Error::file("create", path))
}
