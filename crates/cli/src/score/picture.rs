//! saturation.svg: accuracy against r, a curve for each number of shots.

use std::path::Path;

use super::report::{Cell, Report, Row};
use crate::chart::{self, Axis, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};
use crate::error::{Error, Result};
use crate::output;

const SIZE: (u32, u32) = (900, 560);

/// Draws it into the folder.
///
/// # Errors
/// A file that cannot be written; what the drawing library says.
pub(super) fn write(folder: &Path, report: &Report) -> Result<()> {
    let path = folder.join("saturation.svg");
    let svg = draw(report).map_err(|what| Error::content(&path, what))?;
    output::write_atomic(&path, svg.as_bytes())
}

fn draw(report: &Report) -> std::result::Result<String, String> {
    // At the logarithm of r; none at all stands a doubling before one.
    let x = |steps: usize| if steps == 0 { -1.0 } else { (steps as f64).log2() };
    let curve = |row: &Row| -> Vec<[f64; 4]> {
        let point = |cell: &Cell| {
            let accuracy = cell.accuracy(report.options.normalise)?;
            let at = |value: f64| 100.0 * value.clamp(0.0, 1.0);
            let (value, error) = (accuracy.value, accuracy.standard_error);
            Some([x(cell.steps), at(value), at(value - error), at(value + error)])
        };
        row.cells.iter().filter_map(point).collect()
    };
    let curves: Vec<Vec<[f64; 4]>> = report.rows.iter().map(curve).collect();
    let shots = |row: &Row| match row.shots {
        1 => "1 shot".to_owned(),
        count => format!("{count} shots"),
    };
    let names: Vec<String> = report.rows.iter().map(shots).collect();
    let chance = 100.0 * report.chance;
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Accuracy against iterations", &report.describe())?;
        let (plot, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        chart::legend(&side, &names, Some("band: ± 1 SE"))?;
        let ticks = report.options.steps.iter().map(|&r| (x(r), r.to_string()));
        let ends = curves.iter().flatten().flat_map(|point| [point[2], point[3]]).chain([chance]);
        let titles = Titles { x: "iterations r (logarithmic)", y: "right (%)", labels: Labels::Decimals(0) };
        let mut plot = chart::plot(&plot, Axis::over(ticks), chart::percent_range(ends), &titles)?;
        chart::level(&mut plot, chance, "chance")?;
        for (i, points) in curves.iter().enumerate() {
            let ends: Vec<[f64; 3]> = points.iter().map(|&[x, _, low, high]| [x, low, high]).collect();
            chart::band(&mut plot, i, &ends)?;
        }
        for (i, points) in curves.iter().enumerate() {
            let line: Vec<(f64, f64)> = points.iter().map(|point| (point[0], point[1])).collect();
            chart::series(&mut plot, (i, curves.len()), &line, true)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::report::tests::report;

    #[test]
    fn the_picture_names_shots_r_and_chance() {
        let svg = draw(&report()).unwrap();
        let texts: Vec<&str> = svg.lines().map(str::trim).collect();
        for label in [
            "Accuracy against iterations",
            "iterations r (logarithmic)",
            "right (%)",
            "0 shots",
            "2 shots",
            "chance",
            "1",
            "4",
            "8",
        ] {
            assert!(texts.contains(&label), "{label:?} is missing:\n{svg}");
        }
        assert!(!svg.contains("NaN"));
    }
}
