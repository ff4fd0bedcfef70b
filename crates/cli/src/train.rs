//! `fathom train`: a run of training, with its progress, log and curves.

mod picture;

use std::io::IsTerminal as _;

use fathom_train::run::{Line, Run, RunConfig};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    args::TrainArgs,
    error::{Error, Result},
    options::start_threads,
    output,
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
    let bar = progress(&run);
    let mut lines = picture::lines(&arguments.out)?;
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

/// A bar on standard error, where somebody watches.
fn progress(run: &Run) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {elapsed} gone, {eta} to go, {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(run.steps()).with_style(style);
    bar.println(format!("{} parameters", run.parameters()));
    bar.set_position(run.step());
    bar.reset_eta();
    bar
}
