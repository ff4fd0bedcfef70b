//! Products with packed weights, tile by tile.
//!
//! A task owns the columns of a few panels for all rows, so tasks never share an output element and never exchange
//! partial sums. It walks the rows tile by tile: a tile's rows are brought into the words of the weight once, and
//! multiplied with all of the task's panels while they are hot.

use rayon::prelude::*;

use super::tile::{Level, ROWS, Rows, STEPS, Sums, tile};
use crate::{Weight, weight::PANEL};

/// Panels a task: enough that rounding rows to bf16 costs little beside multiplying them.
const RUN: usize = 4;

/// Below this many multiply-adds a product runs on the calling thread: waking another costs more.
const PARALLEL: usize = 1 << 20;

/// Calls `sink(first row, first column, rows of the tile)` for every tile of x·W, `x` being `[m, k]`. Columns beyond
/// the last are zero.
pub(crate) fn tiles(x: &[f32], w: &Weight, sink: impl Fn(usize, usize, &mut [[f32; PANEL]]) + Sync) {
    let level = Level::best();
    let (k, steps, panels) = (w.k(), w.steps(), w.panels());
    let task = |run: usize| {
        let run = run * RUN..((run + 1) * RUN).min(panels);
        let mut rows = Rows::new(w.dtype());
        let mut sums: [Sums; RUN] = [[[0.0; PANEL]; ROWS]; RUN];
        for (index, x) in x.chunks(ROWS * k).enumerate() {
            for from in (0..steps).step_by(STEPS) {
                let part = from * PANEL..(from + STEPS).min(steps) * PANEL;
                rows.fill(level, x, k, from);
                for (panel, sums) in run.clone().zip(&mut sums) {
                    tile(level, &rows, &w.panel(panel)[part.clone()], from == 0, sums);
                }
            }
            for (panel, sums) in run.clone().zip(&mut sums) {
                sink(index * ROWS, panel * PANEL, &mut sums[..x.len() / k]);
            }
        }
    };
    let runs = panels.div_ceil(RUN);
    if x.len() * w.n() < PARALLEL {
        (0..runs).for_each(task);
    } else {
        (0..runs).into_par_iter().for_each(task);
    }
}

/// A matrix `[rows, width]` whose disjoint pieces several threads write.
pub(crate) struct Shared {
    data: *mut f32,
    rows: usize,
    width: usize,
}

// SAFETY: `piece` hands out pieces only to the task that owns their tile; tiles do not overlap.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(data: &mut [f32], width: usize) -> Self {
        Self { rows: data.len() / width.max(1), width, data: data.as_mut_ptr() }
    }

    /// Up to `count` elements of `row` from `column` on, cut at the row's end.
    ///
    /// # Safety
    /// No other live piece overlaps this one.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn piece(&self, row: usize, column: usize, count: usize) -> &mut [f32] {
        assert!(row < self.rows && column < self.width);
        let count = count.min(self.width - column);
        // SAFETY: inside the matrix by the assertion; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.width + column), count) }
    }
}
