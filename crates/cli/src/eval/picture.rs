//! coverage.svg: coverage and accuracy against the number of trajectories.

use super::report::{Curve, Point};
use super::setup::Setup;
use super::summary;
use crate::chart::{self, Area, Axis, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};

const SIZE: (u32, u32) = (900, 560);

/// Draws `curves` with bands of one standard error over a logarithmic axis.
///
/// # Errors
/// What the drawing library says.
pub(super) fn coverage(setup: &Setup, curves: &[Curve]) -> Result<String, String> {
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Coverage and accuracy against trajectories", &summary::describe(setup))?;
        let (plot, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        chart::legend(
            &side,
            &curves.iter().map(|curve| curve.name.clone()).collect::<Vec<_>>(),
            Some("band: ± 1 SE"),
        )?;
        draw(&plot, curves)
    })
}

fn draw(area: &Area<'_>, curves: &[Curve]) -> Drawn {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let mut sizes: Vec<usize> = points().map(|point| point.n).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let x = Axis::over(sizes.iter().map(|&n| ((n as f64).log2(), n.to_string())));
    let y = chart::percent_range(points().flat_map(|point| [low(point), high(point)]));
    let titles =
        Titles { x: "trajectories N (logarithmic)", y: "questions (%)", labels: Labels::Decimals(0) };
    let mut chart = chart::plot(area, x, y, &titles)?;
    let at = |point: &Point| (point.n as f64).log2();
    for (i, curve) in curves.iter().enumerate() {
        let ends = curve.points.iter().map(|point| [at(point), low(point), high(point)]);
        chart::band(&mut chart, i, &ends.collect::<Vec<_>>())?;
    }
    for (i, curve) in curves.iter().enumerate() {
        let line: Vec<(f64, f64)> =
            curve.points.iter().map(|point| (at(point), 100.0 * point.value)).collect();
        chart::series(&mut chart, (i, curves.len()), &line, true)?;
    }
    Ok(())
}

fn low(point: &Point) -> f64 {
    100.0 * (point.value - point.standard_error).max(0.0)
}

fn high(point: &Point) -> f64 {
    100.0 * (point.value + point.standard_error).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::report::curves;
    use crate::eval::testing::{questions, record, setup, solve};

    #[test]
    fn the_picture_has_titled_axes_a_label_a_size_and_a_legend() {
        let setup = setup(40);
        let questions = questions(40);
        let records: Vec<_> = questions
            .iter()
            .map(|q| crate::eval::record::Record::new(q, &solve(&q.question).unwrap(), 0.1))
            .collect();
        let svg = coverage(&setup, &curves(&setup, &records).unwrap()).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        let texts: Vec<&str> = svg.lines().map(str::trim).collect();
        for label in [
            "Coverage and accuracy against trajectories",
            "trajectories N (logarithmic)",
            "questions (%)",
            "1",
            "2",
            "5",
            "coverage",
            "majority",
            "best-of-n",
        ] {
            assert!(texts.contains(&label), "{label:?} is missing:\n{svg}");
        }
    }

    #[test]
    fn a_single_trajectory_and_no_question_can_be_drawn() {
        let mut one = setup(1);
        one.search.n = 1;
        let drawn = coverage(&one, &curves(&one, &[record(0, 1.0, &[1.0])]).unwrap()).unwrap();
        assert!(!drawn.contains("NaN") && drawn.contains("coverage"));
        assert!(!coverage(&setup(0), &[]).unwrap().contains("NaN"));
    }
}
