//! Products with packed weights, tile by tile.
//!
//! A task owns the columns of a few panels for all rows, so tasks never share an output element and never exchange
//! partial sums. It brings a block of rows into the words of the weight, [`STEPS`] at a time, and multiplies all of them
//! with each panel in turn: the weight is read from memory once a block.

use std::cell::RefCell;

use rayon::prelude::*;

use super::tile::{Level, ROWS, Rows, STEPS, Sums, tile};
use crate::{Weight, weight::PANEL};

/// Tiles of a block of rows: their words fit the second-level cache beside the panel.
const TILES: usize = 8;

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
    let task = |task: usize| {
        let run = task * panels / tasks..(task + 1) * panels / tasks;
        BENCH.with_borrow_mut(|bench| {
            let Bench { rows, sums } = &mut **bench;
            for (block, x) in x.chunks(TILES * ROWS * k).enumerate() {
                for from in (0..steps).step_by(STEPS) {
                    let part = from * PANEL..(from + STEPS).min(steps) * PANEL;
                    let tiles = x.chunks(ROWS * k).zip(&mut *rows);
                    tiles.for_each(|(x, rows)| rows.fill(level, w.dtype(), x, k, from));
                    for (panel, sums) in run.clone().zip(&mut *sums) {
                        let part = &w.panel(panel)[part.clone()];
                        for ((rows, sums), _) in rows.iter().zip(sums).zip(x.chunks(ROWS * k)) {
                            tile(level, rows, part, from == 0, sums);
                        }
                    }
                }
                for (panel, sums) in run.clone().zip(&mut *sums) {
                    for (index, (x, sums)) in x.chunks(ROWS * k).zip(sums).enumerate() {
                        let first = (block * TILES + index) * ROWS;
                        sink(first, panel * PANEL, &mut sums[..x.len() / k]);
                    }
                }
            }
        });
    };
    if threads == 1 || x.len() * w.n() < PARALLEL {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
}

/// What a task works on: rows brought into words, and the sums of its panels.
struct Bench {
    rows: [Rows; TILES],
    sums: [[Sums; TILES]; RUN],
}

thread_local! {
    /// Memory alone: nothing in it outlives a task.
    static BENCH: RefCell<Box<Bench>> = RefCell::new(Box::new(Bench {
        rows: [const { Rows::new() }; TILES],
        sums: [[[[0.0; PANEL]; ROWS]; TILES]; RUN],
    }));
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
