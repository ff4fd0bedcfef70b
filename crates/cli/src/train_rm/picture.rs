//! curves.svg: the loss and the accuracy of the best of N against steps, side by side.

use std::path::Path;

use fathom_train::{
    reward::{Accuracy, Line},
    run::LOG,
};

use crate::{
    chart::{self, Area, Axis, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles, percent_range},
    error::{Error, Result},
    output,
};

const NAME: &str = "curves.svg";
const SIZE: (u32, u32) = (1300, 560);

/// What the log of a run's folder holds so far.
///
/// # Errors
/// A log that cannot be read.
pub(super) fn lines(folder: &Path) -> Result<Vec<Line>> {
    let path = folder.join(LOG);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::File { action: "read", path, source }),
    }
}

/// Draws the curves of all lines into the folder.
///
/// # Errors
/// A file that cannot be written; what the drawing library says.
pub(super) fn write(folder: &Path, lines: &[Line]) -> Result<()> {
    let path = folder.join(NAME);
    let svg = draw(lines).map_err(|what| Error::Content { path: path.clone(), what })?;
    output::write_atomic(&path, svg.as_bytes())
}

type Points = Vec<(f64, f64)>;

fn draw(lines: &[Line]) -> std::result::Result<String, String> {
    let losses: Points = lines
        .iter()
        .filter_map(|line| match line {
            Line::Step { step, loss, .. } => Some((*step as f64, *loss)),
            _ => None,
        })
        .collect();
    let of = |share: fn(&Accuracy) -> f64| -> Points {
        let validations = lines.iter().filter_map(|line| match line {
            Line::Validation { step, accuracy } => Some((*step as f64, 100.0 * share(accuracy))),
            _ => None,
        });
        validations.collect()
    };
    let accuracies = [
        ("best of N", of(|accuracy| accuracy.best_of_n)),
        ("majority", of(|accuracy| accuracy.majority)),
        ("pass@1", of(|accuracy| accuracy.pass_at_1)),
        ("coverage", of(|accuracy| accuracy.coverage)),
    ];
    let steps = losses.iter().chain(&accuracies[0].1).map(|point| point.0).fold(1.0, f64::max);
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(
            &head,
            "Reward model",
            "training loss, and what it chooses on questions that it does not learn from",
        )?;
        let (left, rest) = body.split_horizontally((SIZE.0 - LEGEND_WIDTH) / 2);
        let (right, side) = rest.split_horizontally((SIZE.0 - LEGEND_WIDTH) / 2);
        chart::legend(&side, &accuracies.each_ref().map(|(name, _)| (*name).to_owned()), None)?;
        let high = losses.iter().map(|point| point.1).filter(|loss| loss.is_finite()).fold(0.1, f64::max);
        let titles = Titles { x: "steps", y: "loss", labels: Labels::Decimals(2) };
        panel(&left, steps, 0.0..1.05 * high, &titles, &[&losses])?;
        let titles = Titles { x: "steps", y: "questions answered right, %", labels: Labels::Decimals(0) };
        let range = percent_range(accuracies.iter().flat_map(|(_, points)| points).map(|point| point.1));
        panel(&right, steps, range, &titles, &accuracies.each_ref().map(|(_, points)| points))
    })
}

fn panel(
    area: &Area<'_>,
    steps: f64,
    range: std::ops::Range<f64>,
    titles: &Titles<'_>,
    curves: &[&Points],
) -> Drawn {
    let ticks = (0..=5).map(|tick| (f64::from(tick) / 5.0 * steps).round());
    let x = Axis::over(ticks.map(|tick| (tick, format!("{tick:.0}"))));
    let mut plot = chart::plot(area, x, range, titles)?;
    for (index, points) in curves.iter().enumerate() {
        chart::curve(&mut plot, index, points)?;
    }
    Ok(())
}
