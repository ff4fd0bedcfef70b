//! `fathom train-rm`: the training of a reward model, with its progress, log and curves.

mod picture;

use fathom_train::reward::{Line, RewardConfig, RewardRun};

use crate::{
    args::TrainArgs,
    error::{Error, Result},
    options::start_threads,
    output,
    table::percent,
    training,
};

/// Trains to the last step, or on from the last checkpoint in the folder.
///
/// # Errors
/// A configuration, annotations, data or folder that cannot be used; a value that is not finite.
pub(crate) fn run(arguments: &TrainArgs) -> Result<()> {
    start_threads(arguments.threads)?;
    let failed = |cause: fathom_train::Error| Error::Engine(cause.into());
    let config = RewardConfig::read(&arguments.config).map_err(failed)?;
    let drawing = output::progress("trajectories to validate on", 0, "questions");
    let mut run = RewardRun::open(config, &arguments.out, &arguments.device, |done, all| {
        drawing.set_length(all as u64);
        drawing.set_position(done as u64);
    })
    .map_err(failed)?;
    drawing.finish_and_clear();
    let what = format!("{} parameters, {} questions", run.parameters(), run.questions());
    let bar = training::progress(&what, run.step(), run.steps());
    let (mut lines, mut drawn) = (training::lines(&arguments.out)?, Ok(()));
    let best = run.finish(|step, line| {
        bar.set_position(step);
        let Some(line) = line else { return };
        lines.push(line.clone());
        match line {
            Line::Step { loss, speed, .. } => {
                bar.set_message(format!("loss {loss:.4}, {speed:.0} trajectories/s"))
            }
            Line::Validation { step, accuracy } => {
                let [best, majority] = [accuracy.best_of_n, accuracy.majority].map(percent);
                bar.println(format!("step {step}: best-of-N {best} %, majority {majority} %"));
                if drawn.is_ok() {
                    drawn = picture::write(&arguments.out, &lines);
                }
            }
            Line::Checkpoint { .. } => {}
        }
    });
    bar.finish();
    let best = best.map_err(failed)?;
    drawn?;
    output::print(&format!("{}\n", best.display()))
}
