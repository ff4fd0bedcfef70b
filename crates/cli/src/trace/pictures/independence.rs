//! independence: how states from several initial states come together, by token and step.

use plotters::prelude::*;

use fathom_search::trace::distance::quantiles;

use super::{Picture, Summary, faint, line, logarithms, of_questions};
use crate::chart::{self, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};

const SIZE: (u32, u32) = (900, 540);

/// Draws all questions' tokens; there is nothing to show of a latent chain, or of one initial state.
pub(super) fn draw(summary: &Summary) -> Picture {
    let tracks = || summary.questions.iter().flat_map(|question| &question.tracks);
    let curves: Vec<&Vec<f64>> =
        tracks().map(|track| &track.apart).filter(|apart| !apart.is_empty()).collect();
    let Some(longest) = curves.iter().map(|curve| curve.len()).max() else { return Ok(None) };
    let range = chart::decades(curves.iter().flat_map(|curve| curve.iter().copied()));
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        let title = format!("Distance between states from {} initial states", summary.options.starts);
        chart::heading(&head, &title, &of_questions(summary))?;
        let (area, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        chart::legend(&side, &["a token".to_owned()], Some("black: median"))?;
        let titles = Titles { x: "step", y: "mean distance of two / norm", labels: Labels::Powers };
        let mut plot = chart::plot(&area, chart::step_ticks(0, longest.saturating_sub(1)), range, &titles)?;
        for curve in &curves {
            line(&mut plot, logarithms(0, curve), faint(chart::colour(0), curves.len()))?;
        }
        let at = |step: usize| curves.iter().filter_map(move |curve| curve.get(step).copied());
        let median: Vec<f64> = (0..longest).map(|step| quantiles(at(step), [0.5])[0]).collect();
        line(&mut plot, logarithms(0, &median), BLACK.stroke_width(3))
    })
    .map(Some)
}
