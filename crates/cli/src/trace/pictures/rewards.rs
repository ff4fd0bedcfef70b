//! rewards: scores of the steps of right and of wrong trajectories.

use super::{Picture, Summary, faint, line, of_questions};
use crate::chart::{self, Area, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};
use crate::trace::data::Sample;

const PANEL: (u32, u32) = (430, 430);
/// Lines of single trajectories that can be told apart.
const LINES: usize = 400;

/// Scores of one trajectory's steps.
type Scores<'a> = &'a [f32];

/// Draws a panel a sampler; there is nothing to show without a reward model or without right answers to compare with.
pub(super) fn draw(summary: &Summary) -> Picture {
    let Some(first) = summary.questions.first() else { return Ok(None) };
    let names: Vec<&str> = first.spread.iter().map(|spread| spread.sampler.as_str()).collect();
    let samples = || summary.questions.iter().flat_map(|question| &question.samples);
    let of = |name: &str, right: bool| -> Vec<Scores<'_>> {
        let wanted = samples().filter(|sample| sample.sampler == name && sample.right == Some(right));
        wanted.filter_map(|sample: &Sample| sample.rewards.as_deref()).collect()
    };
    let panels: Vec<(&str, [Vec<Scores<'_>>; 2])> =
        names.iter().map(|&name| (name, [of(name, true), of(name, false)])).collect();
    let scores = || panels.iter().flat_map(|(_, both)| both.iter().flatten());
    let longest = scores().map(|scores| scores.len()).max().unwrap_or(0);
    if longest == 0 {
        return Ok(None);
    }
    let values = scores().flat_map(|scores| scores.iter()).filter(|x| x.is_finite());
    let (low, high) = values.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    let air = 0.05 * f64::from(high - low).max(0.1);
    let range = f64::from(low) - air..f64::from(high) + air;
    let size = (PANEL.0 * panels.len() as u32 + LEGEND_WIDTH, HEAD_HEIGHT + PANEL.1);
    chart::svg(size, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Scores of right and of wrong trajectories", &of_questions(summary))?;
        let (rest, side) = body.split_horizontally(size.0 - LEGEND_WIDTH);
        let count = |right: usize| panels.iter().map(|(_, both)| both[right].len()).sum::<usize>();
        let names = [format!("right: {}", count(0)), format!("wrong: {}", count(1))];
        chart::legend(&side, &names, Some("band: ± 1 SE"))?;
        for (place, (name, both)) in panels.iter().enumerate() {
            let area = rest.clone().shrink((PANEL.0 as i32 * place as i32, 0), PANEL);
            draw_panel(&area, name, both, longest, range.clone())?;
        }
        Ok(())
    })
    .map(Some)
}

/// Single trajectories faintly, then means with bands.
fn draw_panel(
    area: &Area<'_>,
    name: &str,
    both: &[Vec<Scores<'_>>; 2],
    longest: usize,
    range: std::ops::Range<f64>,
) -> Drawn {
    let x = format!("step, {name}");
    let titles = Titles { x: &x, y: "score of the step", labels: Labels::Decimals(1) };
    let mut plot = chart::plot(area, chart::step_ticks(1, longest), range, &titles)?;
    for (i, all) in both.iter().enumerate() {
        for scores in all.iter().take(LINES) {
            let points = scores.iter().enumerate().map(|(step, &x)| ((step + 1) as f64, f64::from(x)));
            line(&mut plot, points, faint(chart::colour(i), 16 * all.len()))?;
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
fn mean(all: &[Scores<'_>], step: usize) -> Option<[f64; 3]> {
    let values: Vec<f64> = all.iter().filter_map(|scores| scores.get(step)).map(|&x| f64::from(x)).collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (!values.is_empty()).then(|| [(step + 1) as f64, mean, (variance / count).sqrt()])
}
