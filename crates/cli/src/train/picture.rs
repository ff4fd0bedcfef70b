//! curves.svg: losses against steps, and for recurrent depth what becomes of its states.

use std::{collections::BTreeMap, ops::Range, path::Path};

use fathom_train::{
    objective::dynamics::Dynamics,
    run::{AtDepth, Line},
};

use crate::{
    chart::{self, Area, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Points, Titles},
    error::{Error, Result},
    output,
};

const NAME: &str = "curves.svg";
const SIZE: (u32, u32) = (1000, 560);
/// Of the panels of states below the losses.
const STATES_HEIGHT: u32 = 330;

/// One of the figures of states.
type Figure = fn(&Dynamics) -> Option<f64>;

/// Validation losses as a message has them.
pub(super) fn told(losses: &[AtDepth]) -> String {
    let one = |AtDepth { r, loss, .. }: &AtDepth| match r {
        0 => format!("{loss:.4}"),
        _ => format!("{loss:.4} at r = {r}"),
    };
    losses.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Draws the curves of all lines into the folder.
///
/// # Errors
/// A file that cannot be written; what the drawing library says.
pub(super) fn write(folder: &Path, lines: &[Line]) -> Result<()> {
    let path = folder.join(NAME);
    let svg = draw(&Curves::of(lines)).map_err(|what| Error::Content { path: path.clone(), what })?;
    output::write_atomic(&path, svg.as_bytes())
}

/// What is drawn: training by the names of its parts, validation by depth.
#[derive(Debug, Default)]
struct Curves {
    training: Points,
    parts: BTreeMap<String, Points>,
    validation: BTreeMap<usize, Points>,
    states: BTreeMap<usize, Vec<(f64, Dynamics)>>,
}

impl Curves {
    fn of(lines: &[Line]) -> Self {
        let mut curves = Self::default();
        for line in lines {
            match line {
                Line::Step { step, loss, parts, .. } => {
                    curves.training.push((*step as f64, *loss));
                    for part in parts {
                        curves.parts.entry(part.name.clone()).or_default().push((*step as f64, part.loss));
                    }
                }
                Line::Validation { step, losses } => {
                    for AtDepth { r, loss, states, .. } in losses {
                        curves.validation.entry(*r).or_default().push((*step as f64, *loss));
                        if let Some(states) = states {
                            curves.states.entry(*r).or_default().push((*step as f64, *states));
                        }
                    }
                }
                Line::Checkpoint { .. } => {}
            }
        }
        curves
    }

    /// Losses with their names: training, validation, then the parts of the former.
    fn losses(&self) -> Vec<(String, &Points)> {
        let depth = |depth: usize| if depth == 0 { "validation".to_owned() } else { format!("r = {depth}") };
        let validation = self.validation.iter().map(|(&r, points)| (depth(r), points));
        let parts = self.parts.iter().map(|(name, points)| (format!("of it, {name}"), points));
        [("training".to_owned(), &self.training)].into_iter().chain(validation).chain(parts).collect()
    }

    /// The last step.
    fn last(&self) -> f64 {
        self.losses().iter().flat_map(|(_, points)| points.last()).map(|point| point.0).fold(1.0, f64::max)
    }
}

fn draw(curves: &Curves) -> std::result::Result<String, String> {
    let states = if curves.states.is_empty() { 0 } else { STATES_HEIGHT };
    chart::svg((SIZE.0, SIZE.1 + states), |root| {
        let (losses, states) = root.split_vertically(SIZE.1);
        let (head, body) = losses.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Loss against steps", "mean of −log p over targets, logarithmic")?;
        let (plot, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let losses = curves.losses();
        chart::legend(&side, &losses.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), None)?;
        let logarithms: Vec<Points> = losses.iter().map(|(_, points)| logarithms(points)).collect();
        let titles = Titles { x: "steps", y: "loss", labels: Labels::Logarithm };
        let range = range(&logarithms, f64::INFINITY..f64::NEG_INFINITY);
        chart::against_steps(&plot, (curves.last(), 5), range, &titles, (&logarithms, 0))?;
        if curves.states.is_empty() { Ok(()) } else { draw_states(&states, curves) }
    })
}

/// Three panels beside each other, in the colours of their depths' losses.
fn draw_states(area: &Area<'_>, curves: &Curves) -> Drawn {
    let (head, body) = area.split_vertically(HEAD_HEIGHT);
    chart::heading(
        &head,
        "States after r iterations",
        "means over positions of the validation problems; colours as above",
    )?;
    let figures: [(&str, Figure); 3] = [
        ("relative change", |states| Some(states.change)),
        ("token correlation", |states| states.correlation),
        ("norm", |states| Some(states.norm)),
    ];
    for (area, (name, figure)) in body.split_evenly((1, 3)).iter().zip(figures) {
        let of_depth = |states: &Vec<(f64, Dynamics)>| -> Points {
            states.iter().filter_map(|(step, states)| Some((*step, figure(states)?))).collect()
        };
        let points: Vec<Points> = curves.states.values().map(of_depth).collect();
        let titles = Titles { x: "steps", y: name, labels: Labels::Decimals(2) };
        chart::against_steps(area, (curves.last(), 2), range(&points, 0.0..0.1), &titles, (&points, 1))?;
    }
    Ok(())
}

/// Those points that have a logarithm, with it.
fn logarithms(points: &Points) -> Points {
    points.iter().filter(|point| point.1 > 0.0).map(|&(step, y)| (step, y.log10())).collect()
}

/// What holds `least` and all points, with some air.
fn range(curves: &[Points], least: Range<f64>) -> Range<f64> {
    let finite = curves.iter().flatten().map(|point| point.1).filter(|y| y.is_finite());
    let (low, high) = finite.fold((least.start, least.end), |(low, high), y| (low.min(y), high.max(y)));
    if low > high {
        return 0.0..1.0;
    }
    let air = 0.05 * (high - low).max(0.1);
    low - air..high + air
}
