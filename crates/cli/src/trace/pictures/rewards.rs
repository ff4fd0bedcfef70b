//! rewards: scores of the steps of right and of wrong trajectories, as they are and within each question.

use plotters::prelude::*;

use super::{Picture, Summary, line, of_questions};
use crate::chart::{self, Area, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};
use crate::trace::data::Traced;

const PANEL: (u32, u32) = (430, 360);
/// Lines of single trajectories of each kind that can be told apart.
const LINES: usize = 24;

/// Scores of one trajectory's steps.
type Scores = Vec<f64>;
/// Of right trajectories, and of wrong ones.
type Both = [Vec<Scores>; 2];

/// Draws a column a sampler; there is nothing to show without a reward model or without right answers to compare with.
///
/// A reward model that chooses among trajectories of one question need not score another question alike. What it chooses by
/// is in the lower row: differences from the mean of all trajectories of the question, where some are right and some wrong.
pub(super) fn draw(summary: &Summary) -> Picture {
    let Some(first) = summary.questions.first() else { return Ok(None) };
    let names: Vec<&str> = first.spread.iter().map(|spread| spread.sampler.as_str()).collect();
    let row = |of: fn(Both) -> Both| -> Vec<Both> {
        let sampler = |name: &&str| {
            let questions = summary.questions.iter().map(|question| of(scores(question, name)));
            questions.fold(Both::default(), |mut all, both| {
                all.iter_mut().zip(both).for_each(|(all, some)| all.extend(some));
                all
            })
        };
        names.iter().map(sampler).collect()
    };
    let rows = [("score", row(|both| both)), ("score less mean of question", row(centred))];
    let there = |panels: &[Both]| panels.iter().flatten().any(|all| !all.is_empty());
    let rows: Vec<(&str, Vec<Both>)> = rows.into_iter().filter(|(_, panels)| there(panels)).collect();
    let Some((_, all)) = rows.first() else { return Ok(None) };
    let size = (PANEL.0 * names.len() as u32 + LEGEND_WIDTH, HEAD_HEIGHT + PANEL.1 * rows.len() as u32);
    chart::svg(size, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Scores of right and of wrong trajectories", &of_questions(summary))?;
        let (rest, side) = body.split_horizontally(size.0 - LEGEND_WIDTH);
        let count = |right: usize| all.iter().map(|both| both[right].len()).sum::<usize>();
        let names_of = [format!("right: {}", count(0)), format!("wrong: {}", count(1))];
        chart::legend(&side, &names_of, Some("band: ± 1 SE"))?;
        for (down, (y, panels)) in rows.iter().enumerate() {
            for (right, (both, name)) in panels.iter().zip(&names).enumerate() {
                let corner = (PANEL.0 as i32 * right as i32, PANEL.1 as i32 * down as i32);
                draw_panel(&rest.clone().shrink(corner, PANEL), [&format!("step, {name}"), y], both, panels)?;
            }
        }
        Ok(())
    })
    .map(Some)
}

/// Scores of a sampler's trajectories of one question.
fn scores(question: &Traced, sampler: &str) -> Both {
    let mut both = Both::default();
    for sample in question.samples.iter().filter(|sample| sample.sampler == sampler) {
        if let (Some(right), Some(scores)) = (sample.right, &sample.rewards) {
            both[usize::from(!right)].push(scores.iter().map(|&x| f64::from(x)).collect());
        }
    }
    both
}

/// Less the mean of all at each step; none where all are right or all wrong.
fn centred(mut both: Both) -> Both {
    if both.iter().any(Vec::is_empty) {
        return Both::default();
    }
    let longest = both.iter().flatten().map(Vec::len).max().unwrap_or(0);
    for step in 0..longest {
        let values: Vec<f64> = both.iter().flatten().filter_map(|scores| scores.get(step)).copied().collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        both.iter_mut().flatten().filter_map(|scores| scores.get_mut(step)).for_each(|x| *x -= mean);
    }
    both
}

/// As many of them as can be told apart.
fn some(all: &[Scores]) -> impl Iterator<Item = &Scores> {
    all.iter().step_by(all.len().div_ceil(LINES).max(1))
}

/// Some of the single trajectories faintly, then means of all with bands; `row` are the panels that share its axes.
fn draw_panel(area: &Area<'_>, [x, y]: [&str; 2], both: &Both, row: &[Both]) -> Drawn {
    let drawn = row.iter().flatten().flat_map(|all| some(all)).flatten().filter(|x| x.is_finite());
    let (low, high) =
        drawn.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let air = 0.05 * (high - low).max(0.1);
    let longest = row.iter().flatten().flatten().map(Vec::len).max().unwrap_or(1);
    let titles = Titles { x, y, labels: Labels::Decimals(if high - low < 2.0 { 2 } else { 1 }) };
    let mut plot = chart::plot(area, chart::step_ticks(1, longest), low - air..high + air, &titles)?;
    for (i, all) in both.iter().enumerate() {
        for scores in some(all) {
            let points = scores.iter().enumerate().map(|(step, &x)| ((step + 1) as f64, x));
            line(&mut plot, points, chart::colour(i).mix(0.22).stroke_width(1))?;
        }
    }
    for (i, all) in both.iter().enumerate() {
        let means: Vec<[f64; 3]> = (0..longest).filter_map(|step| mean(all, step)).collect();
        let ends: Vec<[f64; 3]> = means.iter().map(|&[x, mean, se]| [x, mean - se, mean + se]).collect();
        chart::band(&mut plot, i, &ends)?;
        let line: Vec<(f64, f64)> = means.iter().map(|mean| (mean[0], mean[1])).collect();
        chart::series(&mut plot, (i, both.len()), &line, true)?;
    }
    Ok(())
}

/// The step counted from 1, the mean of its scores and the mean's standard error.
fn mean(all: &[Scores], step: usize) -> Option<[f64; 3]> {
    let values: Vec<f64> = all.iter().filter_map(|scores| scores.get(step)).copied().collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (!values.is_empty()).then(|| [(step + 1) as f64, mean, (variance / count).sqrt()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_from_the_mean_of_the_question() {
        let both = [vec![vec![3.0, 5.0], vec![1.0]], vec![vec![-1.0, 1.0]]];
        assert_eq!(centred(both), [vec![vec![2.0, 2.0], vec![0.0]], vec![vec![-2.0, -2.0]]]);
        assert_eq!(centred([vec![vec![3.0]], vec![]]), Both::default());
        assert_eq!(mean(&[vec![1.0], vec![3.0], vec![]], 0), Some([1.0, 2.0, 1.0]));
        assert_eq!(mean(&[vec![1.0]], 1), None);
    }
}
