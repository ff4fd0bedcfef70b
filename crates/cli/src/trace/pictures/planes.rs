//! planes: paths in the planes of their principal components, of a few tokens or of all trajectories.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use fathom_search::trace::Class;

use super::{Picture, Summary, label, samplers, subtitle};
use crate::chart::{self, Area, Axis, Drawn, HEAD_HEIGHT, INK, LEGEND_WIDTH, TEXT};
use crate::trace::data::{Traced, Track};

/// Planes side by side: components 1 and 2, 3 and 4, 5 and 6.
const PLANES: usize = 3;
const PANEL: u32 = 290;
/// Width of the tokens' names.
const NAMES: u32 = 150;
/// Tokens that are shown.
const TOKENS: usize = 4;
const LABEL: u32 = 13;

/// Draws the first question.
pub(super) fn draw(summary: &Summary) -> Picture {
    let Some(question) = summary.questions.first() else { return Ok(None) };
    if question.prompt > 0 { tokens(summary, question) } else { trajectories(summary, question) }.map(Some)
}

/// The token whose last state begins the answer, then one of each class, then those that move most in the end.
fn chosen(question: &Traced) -> Vec<&Track> {
    let thinking = question.prompt.saturating_sub(1);
    let mut order: Vec<usize> = (0..question.tracks.len()).collect();
    let change = |&at: &usize| question.tracks[at].change.last().copied().unwrap_or(0.0);
    order.sort_by(|a, b| change(b).total_cmp(&change(a)));
    let first_of = |class: Class| order.iter().copied().find(|&at| question.tracks[at].class == class);
    let wanted = std::iter::once(thinking).chain(Class::ALL.into_iter().filter_map(first_of));
    let mut places: Vec<usize> = Vec::new();
    for at in wanted.chain(order.iter().copied()) {
        if places.len() < TOKENS && at < question.tracks.len() && !places.contains(&at) {
            places.push(at);
        }
    }
    places.sort_unstable();
    places.into_iter().map(|at| &question.tracks[at]).collect()
}

fn tokens(summary: &Summary, question: &Traced) -> std::result::Result<String, String> {
    let rows = chosen(question);
    let size = (NAMES + PANEL * PLANES as u32 + LEGEND_WIDTH, HEAD_HEIGHT + PANEL * rows.len() as u32);
    chart::svg(size, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(
            &head,
            "Paths of states in the planes of their principal components",
            &subtitle(summary),
        )?;
        let (rest, side) = body.split_horizontally(size.0 - LEGEND_WIDTH);
        let last = rows.iter().map(|track| track.points.len()).max().unwrap_or(0);
        chart::ramp_bar(&side, 30, "step", [&last.to_string(), "1"])?;
        let style = ("sans-serif", TEXT).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
        side.draw(&Circle::new((17, 200), 6, INK.stroke_width(2)))?;
        side.draw_text("step 1", &style, (36, 200))?;
        side.draw(&Circle::new((17, 226), 6, INK.filled()))?;
        side.draw_text("the last", &style, (36, 226))?;
        for (row, track) in rows.iter().enumerate() {
            let top = PANEL as i32 * row as i32;
            rest.draw_text(&label(&track.label, 13), &style, (20, top + 120))?;
            rest.draw_text(&track.class.to_string(), &style, (20, top + 146))?;
            for plane in 0..PLANES {
                let left = (NAMES + PANEL * plane as u32) as i32;
                let area = rest.clone().shrink((left, top), (PANEL, PANEL));
                by_step(&area, track, plane)?;
            }
        }
        Ok(())
    })
}

/// One path, coloured by step.
fn by_step(area: &Area<'_>, track: &Track, plane: usize) -> Drawn {
    let path = places(track, plane);
    let mut panel = panel(area, &path, &track.variance, plane)?;
    let last = path.len().saturating_sub(1);
    let colour = |step: usize| chart::ramp(step as f64 / last.max(1) as f64);
    for (step, pair) in path.windows(2).enumerate() {
        panel.draw_series([PathElement::new(pair.to_vec(), colour(step + 1).stroke_width(2))])?;
    }
    panel
        .draw_series(path.iter().enumerate().map(|(step, &at)| Circle::new(at, 3, colour(step).filled())))?;
    panel.draw_series(path.first().map(|&at| Circle::new(at, 6, INK.stroke_width(2))))?;
    panel.draw_series(path.last().map(|&at| Circle::new(at, 5, INK.filled())))?;
    Ok(())
}

fn trajectories(summary: &Summary, question: &Traced) -> std::result::Result<String, String> {
    let (names, colours) = samplers(&question.tracks);
    let size = (PANEL * PLANES as u32 + LEGEND_WIDTH, HEAD_HEIGHT + PANEL);
    chart::svg(size, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        let title = "Paths of latents in the planes of their principal components";
        chart::heading(&head, title, &subtitle(summary))?;
        let (rest, side) = body.split_horizontally(size.0 - LEGEND_WIDTH);
        chart::legend(&side, &names, Some("dots grow by step"))?;
        for plane in 0..PLANES {
            let area = rest.clone().shrink((PANEL as i32 * plane as i32, 0), (PANEL, PANEL));
            let paths: Vec<Vec<(f64, f64)>> =
                question.tracks.iter().map(|track| places(track, plane)).collect();
            let variance = question.tracks.first().map_or(&[][..], |track| &track.variance);
            let mut panel = panel(&area, &paths.concat(), variance, plane)?;
            // The unperturbed path last, on top of the others.
            for (path, &colour) in paths.iter().zip(&colours).rev() {
                let (colour, alpha) = (chart::colour(colour), if colour == 0 { 1.0 } else { 0.35 });
                panel
                    .draw_series(LineSeries::new(path.iter().copied(), colour.mix(alpha).stroke_width(2)))?;
                let dot = |(step, &at): (usize, &(f64, f64))| {
                    Circle::new(at, (2 + step as i32).min(7), colour.mix(alpha).filled())
                };
                panel.draw_series(path.iter().enumerate().map(dot))?;
            }
        }
        Ok(())
    })
}

/// A track in one plane; a component that there is not is 0.
fn places(track: &Track, plane: usize) -> Vec<(f64, f64)> {
    let at = |point: &Vec<f64>, component: usize| point.get(component).copied().unwrap_or(0.0);
    track.points.iter().map(|point| (at(point, 2 * plane), at(point, 2 * plane + 1))).collect()
}

type Panel<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, plotters::coord::types::RangedCoordf64>>;

/// Axes around the mean with one unit in both directions, and the share of the variance along each.
fn panel<'a, 'b>(
    area: &'a Area<'b>,
    points: &[(f64, f64)],
    variance: &[f64],
    plane: usize,
) -> std::result::Result<Panel<'a, 'b>, Box<dyn std::error::Error>> {
    let reach = points.iter().fold(0.0_f64, |reach, (x, y)| reach.max(x.abs()).max(y.abs()));
    let reach = if reach > 0.0 { reach } else { 1.0 };
    let digits = (1.0 - reach.log10().floor()).clamp(0.0, 4.0) as usize;
    let tick = 10.0_f64.powf(reach.log10().floor());
    let tick = tick
        * if reach >= 5.0 * tick {
            5.0
        } else if reach >= 2.0 * tick {
            2.0
        } else {
            1.0
        };
    let named = |at: f64| match at {
        0.0 => "0".to_owned(),
        at if reach < 0.05 => format!("{at:.0e}"),
        at => format!("{at:.digits$}"),
    };
    let x = Axis::around(reach, [-tick, 0.0, tick].map(|at| (at, named(at))));
    let name = |component: usize| {
        let share = variance.get(component).copied().unwrap_or(0.0);
        let share = if share < 5e-4 { "< 0.1".to_owned() } else { format!("{:.1}", 100.0 * share) };
        format!("component {} ({share} %)", component + 1)
    };
    let span = 1.12 * reach;
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(x, -span..span)?;
    chart
        .configure_mesh()
        .x_desc(name(2 * plane))
        .y_desc(name(2 * plane + 1))
        .y_labels(4)
        .y_label_formatter(&|&y| named(y))
        .label_style(("sans-serif", LABEL).into_font().color(&INK))
        .axis_desc_style(("sans-serif", LABEL).into_font().color(&INK))
        .bold_line_style(RGBColor(226, 226, 226))
        .light_line_style(TRANSPARENT)
        .draw()?;
    Ok(chart)
}
