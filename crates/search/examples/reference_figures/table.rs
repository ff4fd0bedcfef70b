//! The table of published figures in the bundled model's README, and our own figures beside it.

use std::{error::Error, path::PathBuf};

use fathom::{DType, Device};
use fathom_model::{
    folder::Folder,
    load::Model,
    perturbation::{Perturbation, Scope, Sites},
};
use fathom_search::{
    aggregate::{UnparseableVotes, majority},
    dataset,
    metrics::pass_at_k,
    solver::{SearchOptions, Solver},
};
use rayon::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// One line of the table; fractions lie in [0, 1].
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// As the table calls it.
    pub(crate) sampler: String,
    /// The same as a value.
    pub(crate) perturbation: Perturbation,
    /// How many questions from the start of the test set.
    pub(crate) questions: usize,
    /// Trajectories a question.
    pub(crate) n: usize,
    /// pass@k by k.
    pub(crate) pass: Vec<(usize, f64)>,
    /// Accuracy of majority vote.
    pub(crate) majority: f64,
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The rows of the published table.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(repository("models/abacus-coconut/README.md"))?;
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| sampler |")).map(cells);
    let header = lines.next().ok_or("the README has no table of samplers")?;
    lines.skip(1).take_while(|cells| cells.len() == header.len()).map(|cells| row(&header, &cells)).collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn row(header: &[&str], cells: &[&str]) -> Result<Row> {
    let cell = |name: &str| {
        let column = header.iter().position(|title| *title == name);
        column.map(|column| cells[column]).ok_or(format!("the table has no column {name}"))
    };
    let sampler = cell("sampler")?;
    let perturbation = match sampler.split_once('=') {
        Some(("dropout p", p)) => {
            Perturbation::Dropout { p: p.parse()?, sites: Sites::Resid, scope: Scope::Full }
        }
        Some(("noise σ", std)) => Perturbation::Noise { std: std.parse()?, scope: Scope::Full },
        _ => Perturbation::None,
    };
    let mut pass = Vec::new();
    for (title, value) in header.iter().zip(cells) {
        let Some((_, k)) = title.split_once('@').filter(|_| !value.is_empty()) else { continue };
        pass.push((k.parse()?, percent(value)?));
    }
    Ok(Row {
        sampler: sampler.into(),
        perturbation,
        questions: cell("questions")?.trim_start_matches("first ").parse()?,
        n: cell("N")?.parse()?,
        pass,
        majority: percent(cell("majority")?)?,
    })
}

/// The double nearest to the decimal fraction, as its literal is: dividing 81.1 by 100 is off by a rounding.
fn percent(text: &str) -> Result<f64> {
    Ok(format!("{text}e-2").parse()?)
}

/// What our trajectories did on a row's questions.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Right trajectories of each question.
    right: Vec<usize>,
    /// Whether majority vote was right.
    voted: Vec<bool>,
    n: usize,
}

/// One figure, ours and published.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// pass@k or majority.
    pub(crate) name: String,
    /// Ours.
    pub(crate) ours: f64,
    /// The published one.
    pub(crate) reference: f64,
    /// Standard error of ours over questions.
    pub(crate) ours_error: f64,
    /// Standard error of the published one: the questions' spread is taken to be ours.
    pub(crate) reference_error: f64,
    /// Standard error of the difference of both where they sampled the same questions, which then do not add to it;
    /// known for pass@1.
    pub(crate) sampling_error: Option<f64>,
}

impl Figure {
    /// Ours minus the published one.
    pub(crate) fn difference(&self) -> f64 {
        self.ours - self.reference
    }

    /// √(SE²ours + SE²reference).
    pub(crate) fn standard_error(&self) -> f64 {
        self.ours_error.hypot(self.reference_error)
    }
}

impl Measured {
    /// Runs a row. Questions run beside each other, which changes no answer.
    pub(crate) fn run(row: &Row, dtype: DType) -> Result<Self> {
        let model = Model::load(&Folder::open(repository("models/abacus-coconut"))?, &Device::Cpu, dtype)?;
        let options = SearchOptions {
            n: row.n,
            perturbation: row.perturbation,
            steps: model.defaults.latent_length.ok_or("the model has no number of latents")?,
            aggregate: Vec::new(),
            beams: 1,
            candidates: 1,
            every: 1,
            seed: 0,
            // 24 new tokens count three latents and the end marker.
            max_answer_tokens: 20,
        };
        let solver = Solver::new(model, None, options)?;
        let data = dataset::read(&repository("data/abacus_test.json"))?;
        let questions = data.questions.get(..row.questions).ok_or("the test set is too short")?;
        let outcomes = questions.par_iter().map(|question| -> Result<(usize, bool)> {
            let values: Vec<f64> =
                solver.solve(&question.question)?.answers.iter().map(|answer| answer.value).collect();
            let right = values.iter().filter(|&&value| value == question.target).count();
            Ok((right, majority(&values, UnparseableVotes::Count) == question.target))
        });
        let outcomes: Vec<(usize, bool)> = outcomes.collect::<Result<_>>()?;
        let (right, voted) = outcomes.into_iter().unzip();
        Ok(Self { right, voted, n: row.n })
    }

    /// Every figure of `row`, which the published implementation measured on `published` questions.
    pub(crate) fn figures(&self, row: &Row, published: usize) -> Vec<Figure> {
        let figure = |name: String, estimates: Vec<f64>, reference| {
            let (ours, deviation) = spread(&estimates);
            let over = |questions: usize| deviation / (questions as f64).sqrt();
            let (ours_error, reference_error) = (over(estimates.len()), over(published));
            Figure { name, ours, reference, ours_error, reference_error, sampling_error: None }
        };
        let pass = |k: usize| self.right.iter().map(|&c| pass_at_k(self.n, c, k)).collect();
        let mut figures: Vec<Figure> =
            row.pass.iter().map(|&(k, reference)| figure(format!("pass@{k}"), pass(k), reference)).collect();
        if self.n > 1 && self.right.len() == published {
            figures[0].sampling_error = Some(self.sampling_error());
        }
        let voted = self.voted.iter().map(|&right| f64::from(right)).collect();
        figures.push(figure("majority".into(), voted, row.majority));
        figures
    }

    /// √(2·Σ_q p_q(1 − p_q)/(N − 1))/Q with p_q the share of right trajectories: two runs of N independent
    /// trajectories on the same questions.
    fn sampling_error(&self) -> f64 {
        let n = self.n as f64;
        let variances = self.right.iter().map(|&c| c as f64 / n * (1.0 - c as f64 / n) / (n - 1.0));
        (2.0 * variances.sum::<f64>()).sqrt() / self.right.len() as f64
    }
}

/// Mean and standard deviation.
fn spread(values: &[f64]) -> (f64, f64) {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / values.len() as f64).sqrt())
}
