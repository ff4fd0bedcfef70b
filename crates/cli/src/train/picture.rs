//! curves.svg: losses against steps, and for recurrent depth what becomes of its states.

use std::{collections::BTreeMap, path::Path};

use fathom_train::{
    objective::dynamics::Dynamics,
    run::{AtDepth, LOG, Line},
};

use crate::{
    chart::{self, Area, Axis, Drawn, HEAD_HEIGHT, LEGEND_WIDTH, Titles},
    error::{Error, Result},
    output,
};

const NAME: &str = "curves.svg";
const SIZE: (u32, u32) = (1000, 560);
/// Of the panels of states below the losses.
const STATES_HEIGHT: u32 = 330;

/// Figures of one kind, by step.
type Points = Vec<(f64, f64)>;

/// One of the figures of states.
type Figure = fn(&Dynamics) -> Option<f64>;

/// What the log of a run's folder holds so far.
///
/// # Errors
/// A log that cannot be read.
pub(super) fn lines(folder: &Path) -> Result<Vec<Line>> {
    let path = folder.join(LOG);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::File { action: "read", path, source }),
    }
}

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
        chart::heading(&head, "Loss against steps", "mean of −log p over targets")?;
        let (plot, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let losses = curves.losses();
        chart::legend(&side, &losses.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), None)?;
        let all: Vec<&Points> = losses.iter().map(|(_, points)| *points).collect();
        panel(&plot, curves.last(), (5, 2), "loss", &all, 0)?;
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
        panel(area, curves.last(), (2, 2), name, &points.iter().collect::<Vec<_>>(), 1)?;
    }
    Ok(())
}

/// A plot of curves from 0 on, or from the least where that is negative; the first has colour `colour`.
fn panel(
    area: &Area<'_>,
    last: f64,
    (ticks, decimals): (u32, usize),
    name: &str,
    curves: &[&Points],
    colour: usize,
) -> Drawn {
    let ticks = (0..=ticks).map(|tick| (f64::from(tick) / f64::from(ticks) * last).round());
    let finite =
        || curves.iter().flat_map(|points| points.iter()).map(|point| point.1).filter(|y| y.is_finite());
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.1, f64::max));
    let titles = Titles { x: "steps", y: name, decimals };
    let x = Axis::over(ticks.map(|tick| (tick, format!("{tick:.0}"))));
    let mut plot = chart::plot(area, x, 1.05 * low..1.05 * high, &titles)?;
    for (index, points) in curves.iter().enumerate() {
        chart::curve(&mut plot, colour + index, points)?;
    }
    Ok(())
}
