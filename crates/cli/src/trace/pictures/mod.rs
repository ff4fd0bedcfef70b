//! The pictures of a trace, each as SVG and as PNG: those that apply.

mod convergence;
mod independence;
mod planes;
mod rewards;
mod spread;
#[cfg(test)]
mod tests;

use std::path::Path;

use plotters::prelude::*;

use super::data::{Summary, Track};
use crate::chart::{Drawn, Plot};
use crate::error::{Error, Result};
use crate::{output, raster};

/// What drawing gives: an SVG, or `None` where there is nothing to show.
type Picture = std::result::Result<Option<String>, String>;
type Draw = fn(&Summary) -> Picture;

/// Draws all that apply into the folder.
///
/// # Errors
/// Files that cannot be written; what the drawing library says.
pub(super) fn write(folder: &Path, summary: &Summary) -> Result<()> {
    let pictures: [(&str, Draw); 5] = [
        ("convergence", convergence::draw),
        ("planes", planes::draw),
        ("independence", independence::draw),
        ("spread", spread::draw),
        ("rewards", rewards::draw),
    ];
    for (name, draw) in pictures {
        let file = folder.join(name).with_extension("svg");
        let Some(svg) = draw(summary).map_err(|what| Error::content(&file, what))? else { continue };
        let png = raster::png(&svg).map_err(|what| Error::content(&file, what))?;
        output::write_atomic(&file, svg.as_bytes())?;
        output::write_atomic(&file.with_extension("png"), &png)?;
    }
    Ok(())
}

/// A line without points.
fn line(plot: &mut Plot<'_, '_>, points: impl IntoIterator<Item = (f64, f64)>, style: ShapeStyle) -> Drawn {
    plot.draw_series(LineSeries::new(points, style))?;
    Ok(())
}

/// Values from step `first` on at their decimal logarithms; those that are not positive have none.
fn logarithms(first: usize, values: &[f64]) -> Vec<(f64, f64)> {
    let places = values.iter().enumerate().filter(|(_, value)| **value > 0.0 && value.is_finite());
    places.map(|(place, value)| ((first + place) as f64, value.log10())).collect()
}

/// A colour for one of many lines: the more there are, the fainter.
fn faint(colour: RGBColor, lines: usize) -> ShapeStyle {
    let alpha = (4.0 / (lines.max(1) as f64).sqrt()).clamp(0.15, 0.8);
    colour.mix(alpha).stroke_width(2)
}

/// A text as a label: on one line, controls escaped, not longer than `most` letters.
fn label(text: &str, most: usize) -> String {
    let plain: String = text.trim_matches(' ').chars().flat_map(|c| escaped(c).collect::<Vec<_>>()).collect();
    if plain.chars().count() <= most {
        return plain;
    }
    plain.chars().take(most.saturating_sub(1)).chain("…".chars()).collect()
}

fn escaped(c: char) -> Box<dyn Iterator<Item = char>> {
    if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
}

/// Names of samplers in the order in which they appear, and each track's place among them.
fn samplers(tracks: &[Track]) -> (Vec<String>, Vec<usize>) {
    let mut names: Vec<String> = Vec::new();
    let place = |track: &Track| {
        names.iter().position(|name| *name == track.label).unwrap_or_else(|| {
            names.push(track.label.clone());
            names.len() - 1
        })
    };
    let places = tracks.iter().map(place).collect();
    (names, places)
}

/// The first question in one line.
fn subtitle(summary: &Summary) -> String {
    let text = summary.questions.first().map_or("", |question| &question.text);
    label(text, 110)
}

/// How many questions are shown together.
fn of_questions(summary: &Summary) -> String {
    match summary.questions.len() {
        1 => subtitle(summary),
        count => format!("{count} questions"),
    }
}
