//! Products with packed weights, tile by tile.
//!
//! A block of rows is brought into the words of the weight; then tasks go through the panels. A task owns the columns of a
//! few panels, so tasks never share an output element and never exchange partial sums, and multiplies all rows of
//! the block with [`STEPS`] steps of a panel before it goes on: the weight is read from memory once a block. Many rows times a
//! weight that stays in a cache are shared by blocks instead. An element's sum is the same chain either way.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    ops::Range,
};

use rayon::prelude::*;

use super::{
    matrix::Matrix,
    tile::{Level, ROWS, Rows, STEPS, Sums, tile},
};
use crate::{DType, Weight, weight::PANEL};

/// Tiles of a block of rows: the words of [`STEPS`] steps fit the second-level cache beside the panel's.
const TILES: usize = 8;

/// Panels a task at most; fewer where there are more threads than such tasks.
const RUN: usize = 4;

/// Below this many multiply-adds a product runs on the calling thread: waking another costs more.
const PARALLEL: usize = 1 << 21;

/// Bytes of a weight that each core keeps in its second-level cache, or nearly so: threads then take blocks of rows.
const KEPT: usize = 1 << 21;

/// Tiles over which a panel's successor is asked for: memory is slower than the first tile alone.
const SPREAD: usize = 4;

/// The rows `[m, k]` that are multiplied.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a> {
    /// One behind the other.
    Rows(&'a [f32]),
    /// The columns of a matrix `[k, m]`, for a weight of f32.
    Columns(Matrix<'a>),
}

impl Left<'_> {
    /// Their number.
    fn count(self, k: usize) -> usize {
        match self {
            Left::Rows(x) => x.len() / k,
            Left::Columns(x) => x.columns(),
        }
    }

    /// Brings steps `from` to `from + STEPS` of some rows into the words of `w`.
    fn fill(self, level: Level, w: &Weight, rows: Range<usize>, from: usize, words: &mut Rows) {
        let k = w.k();
        match self {
            Left::Rows(x) => words.fill(level, w.dtype(), &x[rows.start * k..rows.end * k], k, from),
            Left::Columns(x) => {
                debug_assert_eq!((x.rows(), w.dtype()), (k, DType::F32));
                words.fill_columns(x.part(from..(from + STEPS).min(k), rows));
            }
        }
    }
}

/// The sums of a task's panels, each row in lines of the cache of its own.
#[repr(align(64))]
struct Bench([[Sums; TILES]; RUN]);

thread_local! {
    // Memory alone, kept from one product to the next: nothing that is in it outlives a product.
    static WORDS: Cell<Vec<Rows>> = const { Cell::new(Vec::new()) };
    static BENCH: RefCell<Box<Bench>> = RefCell::new(Box::new(Bench([[[[0.0; PANEL]; ROWS]; TILES]; RUN])));
}

/// Calls `sink(first row, first column, rows of the tile)` for every tile of x·W. Columns beyond the last are zero.
pub(crate) fn tiles(x: Left<'_>, w: &Weight, sink: impl Fn(usize, usize, &mut [[f32; PANEL]]) + Sync) {
    let m = x.count(w.k());
    let parallel = rayon::current_num_threads() > 1 && m * w.k() * w.n() >= PARALLEL;
    let blocks = m.div_ceil(TILES * ROWS);
    let apart = parallel && blocks >= 2 * rayon::current_num_threads() && w.bytes() <= KEPT;
    let one = |index: usize| {
        let rows = index * TILES * ROWS..((index + 1) * TILES * ROWS).min(m);
        // Taken, not borrowed: while tasks run elsewhere this thread may begin another product.
        let mut words = WORDS.take();
        block(x, rows, w, parallel && !apart, &mut words, &sink);
        WORDS.set(words);
    };
    if apart {
        (0..blocks).into_par_iter().for_each(one);
    } else {
        (0..blocks).for_each(one);
    }
}

/// As [`tiles`], for rows of one block.
fn block(
    x: Left<'_>,
    rows: Range<usize>,
    w: &Weight,
    parallel: bool,
    words: &mut Vec<Rows>,
    sink: &(impl Fn(usize, usize, &mut [[f32; PANEL]]) + Sync),
) {
    let level = Level::best();
    let parts = w.steps().div_ceil(STEPS);
    // Tiles of nearly equal height.
    let height = rows.len().div_ceil(rows.len().div_ceil(ROWS));
    let tiles = rows.len().div_ceil(height);
    if words.len() < parts * tiles {
        words.resize_with(parts * tiles, Rows::new);
    }
    let words = &mut words[..parts * tiles];
    let fill = |(index, words): (usize, &mut Rows)| {
        let (part, tile) = (index / tiles, index % tiles);
        x.fill(level, w, rows_of(&rows, height, tile), part * STEPS, words);
    };
    if parallel {
        words.par_iter_mut().enumerate().with_min_len(tiles).for_each(fill);
    } else {
        words.iter_mut().enumerate().for_each(fill);
    }
    let block = Block { level, w, rows, height, tiles, words };
    let run = match (parts, parallel) {
        (1, false) if w.bytes() <= KEPT => w.panels(),
        _ => w.panels().div_ceil(2 * rayon::current_num_threads()).min(RUN),
    };
    let task = |index: usize| {
        let run = index * run..((index + 1) * run).min(w.panels());
        BENCH.with_borrow_mut(|bench| match parts {
            1 => block.across(run, &mut bench.0[0][0], sink),
            _ => block.down(run, bench, sink),
        });
    };
    let tasks = w.panels().div_ceil(run);
    if parallel {
        (0..tasks).into_par_iter().for_each(task);
    } else {
        (0..tasks).for_each(task);
    }
}

/// The rows of tile `index`.
fn rows_of(rows: &Range<usize>, height: usize, index: usize) -> Range<usize> {
    let first = rows.start + index * height;
    first..(first + height).min(rows.end)
}

/// Rows in the words of a weight: its parts one behind the other, each of `tiles` tiles.
struct Block<'a> {
    level: Level,
    w: &'a Weight,
    rows: Range<usize>,
    height: usize,
    tiles: usize,
    words: &'a [Rows],
}

impl Block<'_> {
    /// Tile after tile along the panels of `run`, for a weight of one part: a row of the result is written from left to right, so
    /// that the processor has its lines at hand before they are written.
    fn across(&self, run: Range<usize>, sums: &mut Sums, sink: &impl Fn(usize, usize, &mut [[f32; PANEL]])) {
        for (index, words) in self.words.iter().enumerate() {
            let rows = rows_of(&self.rows, self.height, index);
            for panel in run.clone() {
                let next = if panel + 1 < run.end { panel + 1 } else { run.start };
                tile(self.level, words, self.w.panel(panel), self.w.panel(next), true, sums);
                sink(rows.start, panel * PANEL, &mut sums[..rows.len()]);
            }
        }
    }

    /// Panel after panel of `run` for all tiles, part by part: a panel is read once a block.
    fn down(&self, run: Range<usize>, bench: &mut Bench, sink: &impl Fn(usize, usize, &mut [[f32; PANEL]])) {
        let (steps, parts) = (self.w.steps(), self.words.len() / self.tiles);
        let words = |part: usize, panel: usize| {
            &self.w.panel(panel)[part * STEPS * PANEL..((part + 1) * STEPS).min(steps) * PANEL]
        };
        for (part, rows) in self.words.chunks(self.tiles).enumerate() {
            for (panel, sums) in run.clone().zip(&mut bench.0) {
                let next = match (panel + 1 < run.end, part + 1 < parts) {
                    (true, _) => words(part, panel + 1),
                    (_, true) => words(part + 1, run.start),
                    _ => words(0, run.end.min(self.w.panels() - 1)),
                };
                let mut ahead = next.chunks(next.len().div_ceil(self.tiles.min(SPREAD)));
                for (index, (rows, sums)) in rows.iter().zip(sums).enumerate() {
                    let ahead = ahead.next().unwrap_or_default();
                    tile(self.level, rows, words(part, panel), ahead, part == 0, sums);
                    // While the sums are in the first level.
                    if part + 1 == parts {
                        let rows = rows_of(&self.rows, self.height, index);
                        sink(rows.start, panel * PANEL, &mut sums[..rows.len()]);
                    }
                }
            }
        }
    }
}

/// A matrix `[rows, width]` whose disjoint pieces several threads write.
pub(crate) struct Shared<'a> {
    data: *mut f32,
    rows: usize,
    width: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for a `&mut [f32]`, and who calls `piece` promises that pieces in use do not overlap.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(data: &'a mut [f32], width: usize) -> Self {
        Self { rows: data.len() / width.max(1), width, data: data.as_mut_ptr(), borrowed: PhantomData }
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
