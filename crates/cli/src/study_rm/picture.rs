//! study.svg: the gain of the best of N over the majority against the number of rollouts, a curve a depth.

use std::path::Path;

use super::Study;
use crate::chart::{self, Axis, HEAD_HEIGHT, LEGEND_WIDTH, Labels, Titles};
use crate::error::{Error, Result};
use crate::output;

const SIZE: (u32, u32) = (900, 560);

/// Draws it into the folder.
///
/// # Errors
/// A file that cannot be written; what the drawing library says.
pub(super) fn write(folder: &Path, study: &Study) -> Result<()> {
    let path = folder.join("study.svg");
    let svg = draw(study).map_err(|what| Error::content(&path, what))?;
    output::write_atomic(&path, svg.as_bytes())
}

fn draw(study: &Study) -> std::result::Result<String, String> {
    let distinct = |of: fn(&super::Row) -> usize| {
        let mut all: Vec<usize> = study.rows.iter().map(of).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let (rollouts, layers) = (distinct(|row| row.rollouts), distinct(|row| row.layers));
    let curve = |layers: usize| -> Vec<(f64, f64)> {
        let rows = study.rows.iter().filter(|row| row.layers == layers);
        let place = |row: &super::Row| rollouts.iter().position(|&m| m == row.rollouts).unwrap_or(0);
        rows.map(|row| (place(row) as f64, 100.0 * row.gain)).collect()
    };
    let gains = study.rows.iter().map(|row| 100.0 * row.gain);
    let (low, high) = gains.fold((0.0_f64, 0.0_f64), |(low, high), gain| (low.min(gain), high.max(gain)));
    chart::svg(SIZE, |root| {
        let (head, body) = root.split_vertically(HEAD_HEIGHT);
        let majority =
            format!("best of {} over majority, on {} questions", study.trajectories, study.questions);
        chart::heading(&head, "Gain by rollouts and depth", &majority)?;
        let (plot, side) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let names: Vec<String> = layers
            .iter()
            .map(|&count| if count == 1 { "1 layer".to_owned() } else { format!("{count} layers") })
            .collect();
        chart::legend(&side, &names, None)?;
        let label = |&m: &usize| if m == 0 { "ends alone".to_owned() } else { m.to_string() };
        let x = Axis::over(rollouts.iter().enumerate().map(|(place, m)| (place as f64, label(m))));
        let titles = Titles { x: "rollouts a step", y: "points over majority", labels: Labels::Decimals(1) };
        let mut plot = chart::plot(&plot, x, low - 0.5..high + 0.5, &titles)?;
        for (index, &count) in layers.iter().enumerate() {
            chart::series(&mut plot, (index, layers.len()), &curve(count), true)?;
        }
        Ok(())
    })
}
