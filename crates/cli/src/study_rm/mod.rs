//! `fathom study-rm`: annotations by numbers of rollouts, reward models by depth, and what each of them chooses.

mod picture;

use std::path::Path;

use fathom::{DType, Device};
use fathom_model::{checkpoint::Checkpoint, config::Config, folder::Folder, load::Model};
use fathom_search::metrics::paired_bootstrap;
use fathom_train::{
    annotate::AnnotateConfig,
    objective::reward::Reward,
    reward::{Accuracy, Choice, Line, RewardRun, StudyConfig, Trials},
};
use serde::Serialize;

use crate::annotate;
use crate::args::StudyArgs;
use crate::error::{Error, Result};
use crate::options::start_threads;
use crate::output;
use crate::table::{Align, Table, percent};

/// What a study found; fractions lie in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Study {
    /// Questions that are chosen on.
    questions: usize,
    /// N.
    trajectories: usize,
    /// Majority, pass@1 and coverage, which no reward model changes.
    majority: f64,
    pass_at_1: f64,
    coverage: f64,
    rows: Vec<Row>,
}

/// One reward model.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    /// M; 0 where labels are how trajectories end.
    rollouts: usize,
    layers: usize,
    parameters: usize,
    /// Questions that it learns from.
    learnt_from: usize,
    /// Accuracy on the questions that its checkpoint was chosen on.
    validation: f64,
    best_of_n: f64,
    /// How much more often right than the majority, with the 95 % interval of a paired bootstrap.
    gain: f64,
    low: f64,
    high: f64,
}

/// Runs what is missing of a study, and prints its table.
///
/// # Errors
/// As `annotate` and `train-rm`.
pub(crate) fn run(arguments: &StudyArgs) -> Result<()> {
    start_threads(arguments.threads)?;
    let (out, device) = (&arguments.out, &arguments.device);
    let config = StudyConfig::read(&arguments.config).map_err(failed)?;
    for &rollouts in &config.rollouts {
        let rollouts = config.annotated(rollouts);
        let annotate = AnnotateConfig { rollouts, ..config.annotate.clone() };
        annotate::complete(&annotate, &out.join(annotations(rollouts)), None, device)?;
    }
    let trials = trials(&config, device)?;
    let (mut rows, mut last) = (Vec::new(), None);
    for &rollouts in &config.rollouts {
        for &layers in &config.layers {
            let (row, choices) = row(&config, &trials, [rollouts, layers], out, device)?;
            rows.push(row);
            last = Some(choices);
        }
    }
    let Accuracy { majority, pass_at_1, coverage, .. } = Accuracy::of(&last.unwrap_or_default());
    let trajectories = config.test.sampling.trajectories;
    let questions = trials.len();
    let study = Study { questions, trajectories, majority, pass_at_1, coverage, rows };
    output::write_atomic(&out.join("study.json"), output::json(&study)?.as_bytes())?;
    output::write_atomic(&out.join("study.md"), markdown(&study).as_bytes())?;
    picture::write(out, &study)?;
    output::print(&if arguments.json { output::json(&study)? } else { text(&study) })
}

fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Engine(cause.into())
}

fn annotations(rollouts: usize) -> String {
    format!("rollouts-{rollouts}")
}

fn trials(config: &StudyConfig, device: &Device) -> Result<Trials> {
    let folder = Folder::open(&config.train.model).map_err(failed)?;
    let generator = Model::load(&folder, device, DType::F32).map_err(failed)?;
    let drawing = output::progress("trajectories to choose from", 0, "questions");
    let trials = Trials::draw(&generator, &config.test, device, |done, all| {
        drawing.set_length(all as u64);
        drawing.set_position(done as u64);
    });
    drawing.finish_and_clear();
    trials.map_err(failed)
}

/// Trains one, or reads it where it is trained already, and lets it choose.
fn row(
    config: &StudyConfig,
    trials: &Trials,
    [rollouts, layers]: [usize; 2],
    out: &Path,
    device: &Device,
) -> Result<(Row, Vec<Choice>)> {
    let labels = out.join(annotations(config.annotated(rollouts)));
    let name = format!("model-rollouts-{rollouts}-layers-{layers}");
    let training = config.training(rollouts, layers, labels);
    let loss = training.loss;
    let mut run = RewardRun::open(training, &out.join(&name), device, |_, _| ()).map_err(failed)?;
    let bar = output::progress(&name, run.steps() as usize, "steps");
    let best = run.finish(|step, line| {
        bar.set_position(step);
        if let Some(Line::Validation { step, accuracy }) = line {
            bar.println(format!("{name}, step {step}: best-of-N {} %", percent(accuracy.best_of_n)));
        }
    });
    bar.finish_and_clear();
    let folder = Folder::open(&best.map_err(failed)?).map_err(failed)?;
    let checkpoint = Checkpoint::open(&folder).map_err(failed)?;
    let model = Reward::load(&Config::read(&folder).map_err(failed)?, &checkpoint, device).map_err(failed)?;
    let choices = trials.choices(&model, loss.step_score()).map_err(failed)?;
    let [best, majority] = [|choice: &Choice| choice.best_of_n, |choice: &Choice| choice.majority]
        .map(|of| choices.iter().map(of).collect::<Vec<bool>>());
    let gain = paired_bootstrap(&best, &majority, config.test.sampling.seed).map_err(failed)?;
    let row = Row {
        rollouts,
        layers,
        parameters: run.parameters(),
        learnt_from: run.questions(),
        validation: run.best().map_or(f64::NAN, |(accuracy, _)| accuracy),
        best_of_n: Accuracy::of(&choices).best_of_n,
        gain: gain.difference,
        low: gain.low,
        high: gain.high,
    };
    Ok((row, choices))
}

const COLUMNS: [&str; 6] =
    ["rollouts", "layers", "parameters", "validation %", "best of N %", "against majority [95 %]"];

impl Row {
    fn cells(&self) -> [String; 6] {
        let signed = |fraction: f64| format!("{:+.1}", 100.0 * fraction);
        [
            if self.rollouts == 0 { "final".to_owned() } else { self.rollouts.to_string() },
            self.layers.to_string(),
            self.parameters.to_string(),
            percent(self.validation),
            percent(self.best_of_n),
            format!("{} [{}, {}]", signed(self.gain), signed(self.low), signed(self.high)),
        ]
    }
}

fn heading(study: &Study) -> String {
    let Study { questions, trajectories, .. } = study;
    let [majority, pass_at_1, coverage] = [study.majority, study.pass_at_1, study.coverage].map(percent);
    format!(
        "{questions} questions, N = {trajectories}: majority {majority} %, pass@1 {pass_at_1} %, coverage {coverage} %\n"
    )
}

fn text(study: &Study) -> String {
    let mut table = Table::new(COLUMNS.map(|name| (name, Align::Right)));
    study.rows.iter().for_each(|row| table.row(row.cells()));
    format!("{}\n{}", heading(study), table.render())
}

fn markdown(study: &Study) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = line(&COLUMNS.map(str::to_owned)) + &line(&COLUMNS.map(|_| "---:".to_owned()));
    let rows: String = study.rows.iter().map(|row| line(&row.cells())).collect();
    format!("{}\n{head}{rows}", heading(study))
}
