//! spread: how far trajectories lie apart step by step, under dropout and under noise.

use fathom_search::trace::distance::quantiles;

use super::{Picture, Summary, of_questions};
use crate::chart::{self, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};

const SIZE: (u32, u32) = (900, 540);

/// Draws the median over questions and, of several, the band that holds eight of ten.
pub(super) fn draw(summary: &Summary) -> Picture {
    let Some(first) = summary.questions.first() else { return Ok(None) };
    let names: Vec<String> = first.spread.iter().map(|spread| spread.sampler.clone()).collect();
    let curve = |place: usize| -> Vec<[f64; 4]> {
        let of = || summary.questions.iter().filter_map(move |question| question.spread.get(place));
        let longest = of().map(|spread| spread.by_step.len()).max().unwrap_or(0);
        let at = |step: usize| {
            let values = of().filter_map(|spread| spread.by_step.get(step).copied());
            let [low, median, high] = quantiles(values, [0.1, 0.5, 0.9]);
            [(step + 1) as f64, median, low, high]
        };
        (0..longest).map(at).collect()
    };
    let curves: Vec<Vec<[f64; 4]>> = (0..names.len()).map(curve).collect();
    let longest = curves.iter().map(Vec::len).max().unwrap_or(0);
    if longest == 0 {
        return Ok(None);
    }
    let highest = curves.iter().flatten().map(|point| point[3]).filter(|x| x.is_finite()).fold(0.0, f64::max);
    let several = summary.questions.len() > 1;
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        let title = format!("Spread of {} trajectories", summary.options.trajectories);
        chart::heading(&head, &title, &of_questions(summary))?;
        let (area, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        chart::legend(&side, &names, several.then_some("band: 10 to 90 %"))?;
        let titles = Titles { x: "step", y: "mean distance of two / norm", labels: Labels::Decimals(2) };
        let range = 0.0..if highest > 0.0 { 1.1 * highest } else { 1.0 };
        let mut plot = chart::plot(&area, chart::step_ticks(1, longest), range, &titles)?;
        for (i, points) in curves.iter().enumerate() {
            if several {
                let ends: Vec<[f64; 3]> = points.iter().map(|&[x, _, low, high]| [x, low, high]).collect();
                chart::band(&mut plot, i, &ends)?;
            }
            let median: Vec<(f64, f64)> = points.iter().map(|point| (point[0], point[1])).collect();
            chart::series(&mut plot, (i, curves.len()), &median, true)?;
        }
        Ok(())
    })
    .map(Some)
}
