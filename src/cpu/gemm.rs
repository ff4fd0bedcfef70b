//! Products with packed weights, tile by tile.
//!
//! A task owns the columns of a few panels for all rows, so tasks never share an output element and never exchange
//! partial sums. It walks the rows tile by tile: a tile's rows are brought into the words of the weight once, and
//! multiplied with all of the task's panels while they are hot.

use rayon::prelude::*;

use super::tile::{Level, ROWS, Rows, STEPS, Sums, tile};
use crate::{DType, Weight, weight::PANEL};

/// Panels a task at most: so many that bringing rows into words costs little beside multiplying them.
const RUN: usize = 8;

/// Below this many multiply-adds a product runs on the calling thread: waking another costs more.
const PARALLEL: usize = 1 << 22;

/// Calls `sink(first row, first column, rows of the tile)` for every tile of x·W, `x` being `[m, k]`. Columns beyond
/// the last are zero.
pub(crate) fn tiles(x: &[f32], w: &Weight, sink: impl Fn(usize, usize, &mut [[f32; PANEL]]) + Sync) {
    let level = Level::best();
    let (k, steps, panels) = (w.k(), w.steps(), w.panels());
    // As many tasks for each thread, of nearly as many panels.
    let threads = rayon::current_num_threads();
    let tasks = 2 * threads * panels.div_ceil(2 * threads * RUN);
    let task = |Bench { rows, sums }: &mut Bench, task: usize| {
        let run = task * panels / tasks..(task + 1) * panels / tasks;
        for (index, x) in x.chunks(ROWS * k).enumerate() {
            for from in (0..steps).step_by(STEPS) {
                let part = from * PANEL..(from + STEPS).min(steps) * PANEL;
                rows.fill(level, x, k, from);
                for (panel, sums) in run.clone().zip(&mut *sums) {
                    tile(level, rows, &w.panel(panel)[part.clone()], from == 0, sums);
                }
            }
            for (panel, sums) in run.clone().zip(&mut *sums) {
                sink(index * ROWS, panel * PANEL, &mut sums[..x.len() / k]);
            }
        }
    };
    let bench = || Bench::new(w.dtype());
    if threads == 1 || x.len() * w.n() < PARALLEL {
        let mut bench = bench();
        (0..tasks).for_each(|index| task(&mut bench, index));
    } else {
        (0..tasks).into_par_iter().for_each_init(bench, task);
    }
}

/// What a task works on: rows brought into words, and the sums of its panels.
struct Bench {
    rows: Rows,
    sums: [Sums; RUN],
}

impl Bench {
    fn new(dtype: DType) -> Self {
        Self { rows: Rows::new(dtype), sums: [[[0.0; PANEL]; ROWS]; RUN] }
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
