//! sweep.svg: coverage, accuracy and diversity against the strength of each sampler, or against the number of steps.

use fathom_model::perturbation::Perturbation;
use fathom_search::aggregate::Aggregation;

use super::report::Report;
use super::setup::{point_name, steps_swept};
use crate::chart::{self, Area, Axis, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};

const PANEL_WIDTH: u32 = 430;
const SHARES_HEIGHT: u32 = 330;
const DIVERSITY_HEIGHT: u32 = 250;

/// One column of the picture: reports over one axis.
struct Panel<'a> {
    /// Title of the x axis.
    axis: String,
    /// Whether x is a quantity, so that points belong to a line.
    connected: bool,
    /// By growing x, each with its tick label.
    points: Vec<(f64, String, &'a Report)>,
}

/// One line of a panel.
#[derive(Clone, Copy)]
enum Measure {
    Coverage,
    Accuracy(Aggregation),
    Diversity,
}

impl Measure {
    fn name(self) -> String {
        match self {
            Self::Coverage => "coverage".to_owned(),
            Self::Accuracy(by) => by.to_string(),
            Self::Diversity => "diversity".to_owned(),
        }
    }

    /// Shares in percent.
    fn of(self, report: &Report) -> Option<f64> {
        match self {
            Self::Coverage => report.coverage.map(|share| 100.0 * share),
            Self::Accuracy(by) => report.accuracy.get(&by).map(|accuracy| 100.0 * accuracy.value),
            Self::Diversity => report.diversity,
        }
    }
}

/// Draws a column for each sampler that was swept, where a deterministic run stands at strength 0; if numbers of steps were
/// swept, one for each perturbation.
///
/// # Errors
/// What the drawing library says.
pub(super) fn draw(reports: &[Report]) -> Result<String, String> {
    let panels = panels(reports);
    let shares = shares(reports);
    // One trajectory differs from none.
    let highest = reports.iter().filter_map(|report| report.diversity).reduce(f64::max);
    let diversity_height = highest.map_or(0, |_| DIVERSITY_HEIGHT);
    let size = (
        PANEL_WIDTH * panels.len().max(1) as u32 + LEGEND_WIDTH,
        HEAD_HEIGHT + SHARES_HEIGHT + diversity_height,
    );
    let subtitle = reports.first().map_or_else(String::new, |first| {
        format!("{}, {} questions, N = {}", first.options.data.name, first.questions, most(reports))
    });
    chart::svg(size, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        let title =
            if highest.is_some() { "Coverage, accuracy and diversity" } else { "Coverage and accuracy" };
        chart::heading(&head, title, &subtitle)?;
        let (plots, side) = body.split_horizontally(size.0 - LEGEND_WIDTH);
        let diversity = highest.map(|_| &Measure::Diversity);
        let names: Vec<String> = shares.iter().chain(diversity).map(|m| m.name()).collect();
        chart::legend(&side, &names, None)?;
        for (i, panel) in panels.iter().enumerate() {
            let left = PANEL_WIDTH as i32 * i as i32;
            let column = plots.clone().shrink((left, 0), (PANEL_WIDTH, SHARES_HEIGHT + diversity_height));
            let (top, bottom) = column.split_vertically(SHARES_HEIGHT);
            let percents = reports.iter().flat_map(|report| shares.iter().filter_map(|m| m.of(report)));
            let titles = Titles { x: &panel.axis, y: "questions (%)", labels: Labels::Decimals(0) };
            draw_panel(&top, panel, &shares, 0, chart::percent_range(percents), &titles)?;
            let Some(highest) = highest else { continue };
            let range = 0.0..if highest > 0.0 { 1.1 * highest } else { 1.0 };
            let decimals = if highest < 0.05 { 3 } else { 2 };
            let titles =
                Titles { x: &panel.axis, y: "diversity (1 - cos)", labels: Labels::Decimals(decimals) };
            draw_panel(&bottom, panel, &[Measure::Diversity], shares.len(), range, &titles)?;
        }
        Ok(())
    })
}

fn most(reports: &[Report]) -> usize {
    reports.iter().map(|report| report.n).max().unwrap_or(0)
}

fn shares(reports: &[Report]) -> Vec<Measure> {
    let aggregations = reports.first().map_or(&[][..], |first| &first.options.search.aggregate);
    std::iter::once(Measure::Coverage).chain(aggregations.iter().map(|&by| Measure::Accuracy(by))).collect()
}

fn panels(reports: &[Report]) -> Vec<Panel<'_>> {
    if steps_swept(reports.iter().map(|report| &report.options.search)) {
        return by_steps(reports);
    }
    let place = |wanted: fn(&Perturbation) -> Option<(f64, String)>| {
        let placed = reports.iter().filter_map(|report| {
            let (x, label) = wanted(&report.options.search.perturbation)?;
            Some((x, label, report))
        });
        let mut points: Vec<(f64, String, &Report)> = placed.collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let dropout = place(|perturbation| match perturbation {
        Perturbation::None => Some((0.0, "0".to_owned())),
        Perturbation::Dropout { p, .. } => Some((f64::from(*p), p.to_string())),
        _ => None,
    });
    let noise = place(|perturbation| match perturbation {
        Perturbation::None => Some((0.0, "0".to_owned())),
        Perturbation::Noise { std, .. } => Some((f64::from(*std), std.to_string())),
        _ => None,
    });
    let state = place(|perturbation| match perturbation {
        Perturbation::None => Some((0.0, "fixed".to_owned())),
        Perturbation::State => Some((1.0, "random".to_owned())),
        _ => None,
    });
    let swept = |points: &[(f64, String, &Report)]| {
        points.iter().any(|(_, _, report)| report.options.search.perturbation != Perturbation::None)
    };
    [("dropout p", true, dropout), ("noise σ", true, noise), ("initial state", false, state)]
        .into_iter()
        .filter(|(_, _, points)| swept(points))
        .map(|(axis, connected, points)| Panel { axis: axis.to_owned(), connected, points })
        .collect()
}

/// A panel for each perturbation, its points at the logarithm of their steps; none at all stand a doubling before one.
fn by_steps(reports: &[Report]) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for report in reports {
        let search = &report.options.search;
        let axis = format!("steps, {}", point_name(&search.perturbation));
        let x = if search.steps == 0 { -1.0 } else { (search.steps as f64).log2() };
        let point = (x, search.steps.to_string(), report);
        match panels.iter_mut().find(|panel| panel.axis == axis) {
            Some(panel) => panel.points.push(point),
            None => panels.push(Panel { axis, connected: true, points: vec![point] }),
        }
    }
    panels.iter_mut().for_each(|panel| panel.points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    panels
}

/// Draws `measures` of one panel, coloured from the `first` colour on.
fn draw_panel(
    area: &Area<'_>,
    panel: &Panel<'_>,
    measures: &[Measure],
    first: usize,
    y: std::ops::Range<f64>,
    titles: &Titles<'_>,
) -> Drawn {
    let x = Axis::over(panel.points.iter().map(|(x, label, _)| (*x, label.clone())));
    let mut chart = chart::plot(area, x, y, titles)?;
    for (i, measure) in measures.iter().enumerate() {
        let values = panel.points.iter().filter_map(|(x, _, report)| Some((*x, measure.of(report)?)));
        let line: Vec<(f64, f64)> = values.collect();
        chart::series(&mut chart, (first + i, first + measures.len()), &line, panel.connected)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fathom_model::perturbation::{Scope, Sites};

    use super::*;
    use crate::eval::testing::{record, scored, setup};

    fn report(perturbation: Perturbation, right: usize) -> Report {
        let mut setup = setup(10);
        setup.search.perturbation = perturbation;
        setup.search.n = 2;
        let records: Vec<_> = (0..10)
            .map(|i| scored(record(i, 1.0, &[f64::from(i < right), f64::from(i < right + 2)]), &[0.0, 1.0]))
            .collect();
        Report::new(&setup, &records).unwrap()
    }

    fn dropout(p: f32) -> Perturbation {
        Perturbation::Dropout { p, sites: Sites::Resid, scope: Scope::Full }
    }

    #[test]
    fn each_sampler_has_a_column_with_its_strengths() {
        let noise = |std| Perturbation::Noise { std, scope: Scope::Full };
        let reports = [
            report(Perturbation::None, 5),
            report(dropout(0.1), 6),
            report(dropout(0.2), 7),
            report(noise(0.3), 4),
            report(noise(0.6), 3),
            report(Perturbation::State, 3),
        ];
        let svg = draw(&reports).unwrap();
        let texts: Vec<&str> = svg.lines().map(str::trim).collect();
        for label in [
            "dropout p",
            "noise σ",
            "initial state",
            "0.1",
            "0.2",
            "0.3",
            "0.6",
            "fixed",
            "random",
            "questions (%)",
            "diversity (1 - cos)",
            "coverage",
            "majority",
            "best-of-n",
            "diversity",
        ] {
            assert!(texts.contains(&label), "{label:?} is missing");
        }
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn numbers_of_steps_have_a_column_for_each_perturbation() {
        let at = |perturbation, steps| {
            let mut report = report(perturbation, 5);
            report.options.search.steps = steps;
            report
        };
        let reports = [0, 1, 8, 32].map(|steps| at(Perturbation::None, steps));
        let svg = draw(&reports).unwrap();
        let texts: Vec<&str> = svg.lines().map(str::trim).collect();
        for label in ["steps, none", "0", "1", "8", "32"] {
            assert!(texts.contains(&label), "{label:?} is missing");
        }
        let both = [at(Perturbation::None, 1), at(Perturbation::State, 2)];
        let svg = draw(&both).unwrap();
        assert!(svg.contains("steps, none") && svg.contains("steps, state") && !svg.contains("NaN"));
    }

    #[test]
    fn a_sampler_that_was_not_swept_has_no_column() {
        let svg = draw(&[report(Perturbation::None, 5), report(dropout(0.1), 6)]).unwrap();
        assert!(svg.contains("dropout p") && !svg.contains("noise σ"));
        assert!(draw(&[]).unwrap().ends_with("</svg>\n"));
    }
}
