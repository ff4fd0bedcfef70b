//! convergence: how far each state lies from the last one, as curves, and for tokens as a map too.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use fathom_search::trace::{Class, distance::quantiles};

use super::{Picture, Summary, faint, label, line, logarithms, samplers, subtitle};
use crate::chart::{self, Area, Drawn, HEAD_HEIGHT, INK, LEGEND_WIDTH, Labels, Titles};
use crate::trace::data::{Traced, Track};

const CURVES: u32 = 560;
const MAP: u32 = 440;
const HEIGHT: u32 = 470;
/// Height of a token's row in the map, and room above and below the rows.
const ROW: i32 = 16;
const ABOVE: i32 = 14;
const BELOW: i32 = 56;
/// Width of the tokens' names.
const NAMES: i32 = 116;
/// Tokens of the map at most: the last ones, which end in the answer.
const MOST: usize = 48;

/// Draws the first question.
pub(super) fn draw(summary: &Summary) -> Picture {
    let Some(question) = summary.questions.first() else { return Ok(None) };
    if question.prompt > 0 { tokens(summary, question) } else { trajectories(summary, question) }.map(Some)
}

/// Of tokens: curves in the colour of their class, and a map.
fn tokens(summary: &Summary, question: &Traced) -> std::result::Result<String, String> {
    let shown = &question.tracks[question.tracks.len().saturating_sub(MOST)..];
    let height = HEIGHT.max((ABOVE + BELOW + ROW * shown.len() as i32) as u32);
    let of = |class: Class| question.tracks.iter().filter(move |track| track.class == class);
    let names = Class::ALL.map(|class| format!("{class}: {}", of(class).count()));
    chart::svg((CURVES + MAP + LEGEND_WIDTH, HEAD_HEIGHT + height), |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Distance to the last state, by token and step", &subtitle(summary))?;
        let (curves, rest) = body.split_horizontally(CURVES);
        let (map, side) = rest.split_horizontally(MAP);
        chart::legend(&side, &names, Some("black: median"))?;
        let range = all(question);
        let ends = [range.end, range.start].map(|end| format!("{:.0e}", 10.0_f64.powf(end)));
        chart::ramp_bar(&side, 190, "distance", ends.each_ref().map(String::as_str))?;
        let colours = |track: &Track| Class::ALL.iter().position(|class| *class == track.class).unwrap_or(0);
        let area = curves.shrink((0, 0), (CURVES, HEIGHT));
        draw_curves(&area, question, &question.tracks.iter().map(colours).collect::<Vec<_>>())?;
        draw_map(&map, shown, range)
    })
}

/// Of trajectories: curves in the colour of their sampler.
fn trajectories(summary: &Summary, question: &Traced) -> std::result::Result<String, String> {
    let (names, colours) = samplers(&question.tracks);
    chart::svg((CURVES + 100 + LEGEND_WIDTH, HEAD_HEIGHT + HEIGHT), |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Distance to the last latent, by trajectory and step", &subtitle(summary))?;
        let (curves, side) = body.split_horizontally(CURVES + 100);
        chart::legend(&side, &names, Some("black: median"))?;
        draw_curves(&curves, question, &colours)
    })
}

/// Decades of all distances.
fn all(question: &Traced) -> std::ops::Range<f64> {
    chart::decades(question.tracks.iter().flat_map(|track| track.distance.iter().copied()))
}

fn draw_curves(area: &Area<'_>, question: &Traced, colours: &[usize]) -> Drawn {
    let Some(track) = question.tracks.first() else { return Ok(()) };
    let first = track.first_step;
    let longest = question.tracks.iter().map(|track| track.distance.len()).max().unwrap_or(0);
    let titles = Titles { x: "step", y: "distance / norm of the last", labels: Labels::Powers };
    let x = chart::step_ticks(first, first + longest.saturating_sub(1));
    let mut plot = chart::plot(area, x, all(question), &titles)?;
    // The first of the trajectories is the unperturbed one: it is drawn on top.
    for (track, &colour) in question.tracks.iter().zip(colours).rev() {
        let style = faint(chart::colour(colour), question.tracks.len());
        line(&mut plot, logarithms(first, &track.distance), style)?;
    }
    let at = |step: usize| question.tracks.iter().filter_map(move |track| track.distance.get(step).copied());
    let median: Vec<f64> = (0..longest).map(|step| quantiles(at(step), [0.5])[0]).collect();
    line(&mut plot, logarithms(first, &median), BLACK.stroke_width(3))
}

/// A row a token, a column a step, coloured by the logarithm of the distance.
fn draw_map(area: &Area<'_>, tracks: &[Track], range: std::ops::Range<f64>) -> Drawn {
    let text = |size: u32, horizontal, vertical| {
        ("sans-serif", size).into_font().color(&INK).pos(Pos::new(horizontal, vertical))
    };
    let columns = tracks.iter().map(|track| track.distance.len()).max().unwrap_or(0).max(1);
    let width = f64::from(MAP as i32 - NAMES - 16) / columns as f64;
    let x = |column: usize| NAMES + (width * column as f64).round() as i32;
    for (row, track) in tracks.iter().enumerate() {
        let y = ABOVE + ROW * row as i32;
        area.draw_text(
            &label(&track.label, 14),
            &text(13, HPos::Right, VPos::Center),
            (NAMES - 6, y + ROW / 2),
        )?;
        for (column, &distance) in track.distance.iter().enumerate() {
            let share = (distance.log10() - range.start) / (range.end - range.start);
            let place = [(x(column), y), (x(column + 1), y + ROW - 1)];
            area.draw(&Rectangle::new(place, chart::ramp(share).filled()))?;
        }
    }
    let bottom = ABOVE + ROW * tracks.len() as i32;
    let apart = columns.div_ceil(9).next_power_of_two();
    for column in (0..columns).step_by(apart) {
        let middle = (x(column) + x(column + 1)) / 2;
        area.draw_text(&column.to_string(), &text(14, HPos::Center, VPos::Top), (middle, bottom + 4))?;
    }
    area.draw_text("step", &text(16, HPos::Center, VPos::Top), ((x(0) + x(columns)) / 2, bottom + 24))?;
    Ok(())
}
