//! Dropout masks and Gaussian noise, drawn where they are used.

use rayon::prelude::*;

use super::simd::widest;
use crate::{
    Keep, Perturb,
    random::{Coordinates, Site, normals_of_panel, words_of_panel},
    weight::PANEL,
};

/// Rows a task at least, so that a task outweighs its start.
const ROWS: usize = 8;

/// Applies `perturbation` to `[rows, width]` in place.
pub(crate) fn perturb(x: &mut [f32], width: usize, perturbation: Perturb<'_>) {
    if let Perturb::None = perturbation {
        return;
    }
    x.par_chunks_mut(width).with_min_len(ROWS).enumerate().for_each(|(row, x)| {
        for (panel, lanes) in x.chunks_mut(PANEL).enumerate() {
            perturb_lanes(perturbation, row, panel * PANEL, width, lanes);
        }
    });
}

/// Applies `perturbation` to up to 32 channels from `column` on, a multiple of 32, of a row of `width`.
pub(crate) fn perturb_lanes(
    perturbation: Perturb<'_>,
    row: usize,
    column: usize,
    width: usize,
    lanes: &mut [f32],
) {
    let recorded = row * width + column..row * width + (column + PANEL).min(width);
    match perturbation {
        Perturb::None => {}
        Perturb::Dropout { keep, site, rows } => drop_out(lanes, keep, rows[row], site, column),
        Perturb::Noise { std, site, rows } => add_noise(lanes, std, rows[row], site, column),
        Perturb::Scale(factors) => {
            lanes.iter_mut().zip(&factors[recorded]).for_each(|(x, factor)| *x *= factor)
        }
        Perturb::Add(terms) => lanes.iter_mut().zip(&terms[recorded]).for_each(|(x, term)| *x += term),
    }
}

widest! {
    fn drop_out(lanes: &mut [f32], keep: Keep, at: Coordinates, site: Site, column: usize) {
        let words = in_channel_order(words_of_panel(at, site, column as u32 / 4));
        // The largest word that keeps its element, if any does: words are compared in 32 bits.
        let last = keep.threshold.checked_sub(1).map(|last| last.min(u64::from(u32::MAX)) as u32);
        for (x, word) in lanes.iter_mut().zip(words) {
            let kept = last.is_some_and(|last| word <= last);
            *x = if kept { *x * keep.scale } else { 0.0 };
        }
    }
}

widest! {
    fn add_noise(lanes: &mut [f32], std: f32, at: Coordinates, site: Site, column: usize) {
        let normals = in_channel_order(normals_of_panel(words_of_panel(at, site, column as u32 / 4)));
        lanes.iter_mut().zip(normals).for_each(|(x, normal)| *x = std.mul_add(normal, *x));
    }
}

/// `[channel mod 4][channel / 4]` as 32 channels.
#[inline(always)]
fn in_channel_order<T: Copy>(words: [[T; PANEL / 4]; 4]) -> [T; PANEL] {
    std::array::from_fn(|channel| words[channel % 4][channel / 4])
}
