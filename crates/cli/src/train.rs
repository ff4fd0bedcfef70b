//! `fathom train`: a run of training, with its progress, log and curves.

mod picture;

use fathom_train::run::{Line, Run, RunConfig};

use crate::{
    args::TrainArgs,
    error::{Error, Result},
    options::start_threads,
    output, training,
};

/// Trains to the last step, or on from the last checkpoint in the folder.
///
/// # Errors
/// A configuration, data or folder that cannot be used; a value that is not finite.
pub(crate) fn run(arguments: &TrainArgs) -> Result<()> {
    start_threads(arguments.threads)?;
    let config = RunConfig::read(&arguments.config).map_err(|cause| Error::Engine(cause.into()))?;
    let mut run =
        Run::open(config, &arguments.out, &arguments.device).map_err(|cause| Error::Engine(cause.into()))?;
    let what = format!("{} parameters", run.parameters());
    let bar = training::progress(&what, run.step(), run.steps());
    let mut lines = training::lines(&arguments.out)?;
    let mut drawn = Ok(());
    let last = run.finish(|step, line| {
        bar.set_position(step);
        let Some(line) = line else { return };
        lines.push(line.clone());
        match line {
            Line::Step { loss, speed, .. } => bar.set_message(format!("loss {loss:.4}, {speed:.0} tokens/s")),
            Line::Validation { step, losses } => {
                bar.println(format!("step {step}: validation loss {}", picture::told(losses)));
                if drawn.is_ok() {
                    drawn = picture::write(&arguments.out, &lines);
                }
            }
            Line::Checkpoint { .. } => {}
        }
    });
    bar.finish();
    let last = last.map_err(|cause| Error::Engine(cause.into()))?;
    drawn?;
    picture::write(&arguments.out, &lines)?;
    output::print(&format!("{}\n", last.display()))
}
