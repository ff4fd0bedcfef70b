//! curves.svg: the loss and the accuracy of the best of N against steps, side by side.

use std::path::Path;

use fathom_train::reward::{Accuracy, Line};

use crate::{
    chart::{self, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Points, Titles, percent_range},
    error::{Error, Result},
    output,
};

const NAME: &str = "curves.svg";
const SIZE: (u32, u32) = (1300, 560);

/// Draws the curves of all lines into the folder.
///
/// # Errors
/// A file that cannot be written; what the drawing library says.
pub(super) fn write(folder: &Path, lines: &[Line]) -> Result<()> {
    let path = folder.join(NAME);
    let svg = draw(lines).map_err(|what| Error::Content { path: path.clone(), what })?;
    output::write_atomic(&path, svg.as_bytes())
}

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
        chart::against_steps(&left, (steps, 5), 0.0..1.05 * high, &titles, (&[losses], 0))?;
        let titles = Titles { x: "steps", y: "questions answered right, %", labels: Labels::Decimals(0) };
        let range = percent_range(accuracies.iter().flat_map(|(_, points)| points).map(|point| point.1));
        chart::against_steps(&right, (steps, 5), range, &titles, (&accuracies.map(|(_, points)| points), 0))
    })
}
