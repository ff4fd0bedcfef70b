//! curves.svg: losses against steps.

use std::{collections::BTreeMap, path::Path};

use fathom_train::run::{AtDepth, LOG, Line};

use crate::{
    chart::{self, Axis, HEAD_HEIGHT, LEGEND_WIDTH, Titles},
    error::{Error, Result},
    output,
};

const NAME: &str = "curves.svg";
const SIZE: (u32, u32) = (900, 560);

/// Losses of one kind, by step.
type Curve = (String, Vec<(f64, f64)>);

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
    let one = |&AtDepth { r, loss }: &AtDepth| match r {
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
    let svg = draw(&curves(lines)).map_err(|what| Error::Content { path: path.clone(), what })?;
    output::write_atomic(&path, svg.as_bytes())
}

fn curves(lines: &[Line]) -> Vec<Curve> {
    let mut curves: BTreeMap<Option<usize>, Vec<(f64, f64)>> = BTreeMap::new();
    for line in lines {
        match line {
            Line::Step { step, loss, .. } => curves.entry(None).or_default().push((*step as f64, *loss)),
            Line::Validation { step, losses } => {
                for &AtDepth { r, loss } in losses {
                    curves.entry(Some(r)).or_default().push((*step as f64, loss));
                }
            }
            Line::Checkpoint { .. } => {}
        }
    }
    let name = |depth: Option<usize>| match depth {
        None => "training".to_owned(),
        Some(0) => "validation".to_owned(),
        Some(depth) => format!("r = {depth}"),
    };
    curves.into_iter().map(|(depth, points)| (name(depth), points)).collect()
}

fn draw(curves: &[Curve]) -> std::result::Result<String, String> {
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        chart::heading(&head, "Loss against steps", "mean of −log p over targets")?;
        let (plot, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        chart::legend(&side, &curves.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), None)?;
        let points = || curves.iter().flat_map(|(_, points)| points);
        let last = points().map(|point| point.0).fold(1.0, f64::max);
        let ticks = (0..=5).map(|tick| (f64::from(tick) / 5.0 * last).round());
        let high = points().map(|point| point.1).filter(|loss| loss.is_finite()).fold(0.1, f64::max);
        let titles = Titles { x: "steps", y: "loss", decimals: 2 };
        let x = Axis::over(ticks.map(|tick| (tick, format!("{tick:.0}"))));
        let mut plot = chart::plot(&plot, x, 0.0..1.05 * high, &titles)?;
        for (index, (_, points)) in curves.iter().enumerate() {
            chart::curve(&mut plot, index, points)?;
        }
        Ok(())
    })
}
