//! Attention over windows of rows, as products of tiles: a sequence's keys and values are packed once for all of its rows.
//!
//! A task is one run of rows and one head of keys and values with the query heads that read it. Of up to twelve rows it forms
//! all scores, one chain of fused multiply-adds over the channels each, then weights, then their product with the values, one
//! chain by rising position. So a row's result follows from its own window alone.

mod backward;

use std::{cell::RefCell, ops::Range};

use rayon::prelude::*;

pub(crate) use backward::{Inputs, window_attention_backward};

use super::{
    attention::{LANES, soften},
    gemm::Shared,
    matrix::Matrix,
    simd::{halved, widest},
    tile::{Level, ROWS, Rows, STEPS, Sums, tile},
};
use crate::{
    lines::Lines,
    ops::{attention::Heads, window_attention::Window},
    weight::PANEL,
};

/// Neighbouring rows of one first position.
#[derive(Clone)]
struct Run {
    rows: Range<usize>,
    /// What they see, together.
    seen: Range<usize>,
}

impl Run {
    /// All runs, in the order of their rows.
    fn all(windows: &[Window]) -> Vec<Run> {
        let mut row = 0;
        let run = |windows: &[Window]| {
            let rows = row..row + windows.len();
            row = rows.end;
            let most = windows.iter().map(|window| window.visible).max().unwrap_or(0);
            Run { rows, seen: windows[0].first..windows[0].first + most }
        };
        windows.chunk_by(|a, b| a.first == b.first).map(run).collect()
    }
}

thread_local! {
    // Memory alone: nothing that is in it outlives a task.
    static BENCH: RefCell<Bench> = RefCell::new(Bench::default());
}

/// What a task works on.
#[derive(Default)]
struct Bench {
    keys: Packed,
    values: Packed,
    left: Left,
    scores: Lines<f32>,
    backward: backward::Bench,
}

/// out = softmax(q·kᵀ/√d)·v over each row's window.
pub(crate) fn window_attention(
    q: Matrix<'_>,
    [k, v]: [Matrix<'_>; 2],
    heads: Heads,
    windows: &[Window],
    out: &mut [f32],
) {
    let runs = Run::all(windows);
    let (level, dim) = (Level::best(), heads.dim);
    let out = Shared::new(out, heads.query * dim);
    (0..runs.len() * heads.kv).into_par_iter().for_each(|task| {
        let (run, head) = (&runs[task / heads.kv], task % heads.kv);
        BENCH.with_borrow_mut(|Bench { keys, values, left, scores, .. }| {
            let channels = head * dim..(head + 1) * dim;
            let keys = keys.columns(k.part(run.seen.clone(), channels.clone()));
            let values = values.rows(v.part(run.seen.clone(), channels));
            let stride = run.seen.len().next_multiple_of(PANEL);
            let scores = sized(scores, ROWS * stride);
            for (rows, head) in tiles(run.rows.clone(), queries(heads, head)) {
                let q = q.part(rows.clone(), head * dim..(head + 1) * dim);
                let mut factors = [0.0; ROWS];
                let most =
                    weights(level, left.rows(q), keys, &windows[rows.clone()], dim, scores, &mut factors);
                let left = left.rows(Matrix::strided(scores, stride, rows.len(), most));
                let mut sums = [[0.0; PANEL]; ROWS];
                for panel in 0..dim.div_ceil(PANEL) {
                    multiply(level, left, values.panel(panel), &mut sums);
                    let column = head * dim + panel * PANEL;
                    let count = PANEL.min(dim - panel * PANEL);
                    for (row, (sums, factor)) in rows.clone().zip(sums.iter().zip(factors)) {
                        // SAFETY: this head's channels of these rows are this task's alone.
                        let out = unsafe { out.piece(row, column, count) };
                        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum * factor);
                    }
                }
            }
        });
    });
}

/// The query heads that read `kv`.
fn queries(heads: Heads, kv: usize) -> Range<usize> {
    let group = heads.query / heads.kv;
    kv * group..(kv + 1) * group
}

/// Up to [`ROWS`] of the rows at a time, for each of the heads.
fn tiles(rows: Range<usize>, heads: Range<usize>) -> impl Iterator<Item = (Range<usize>, usize)> {
    let tile = move |first: usize| first..(first + ROWS).min(rows.end);
    let firsts = rows.clone().step_by(ROWS);
    heads.flat_map(move |head| firsts.clone().map(tile).map(move |rows| (rows, head)))
}

/// The weights exp(q·k/√d − maximum) of a tile's rows, 0 up to the end of the panel where a row sees no more, and the inverse
/// of each row's sum. How many positions the row that sees most sees.
fn weights(
    level: Level,
    q: &[Rows],
    keys: Panels<'_>,
    windows: &[Window],
    dim: usize,
    scores: &mut [f32],
    factors: &mut [f32; ROWS],
) -> usize {
    let stride = scores.len() / ROWS;
    let most = windows.iter().map(|window| window.visible).max().unwrap_or(0);
    let mut sums = [[0.0; PANEL]; ROWS];
    for panel in 0..most.div_ceil(PANEL) {
        multiply(level, q, keys.panel(panel), &mut sums);
        for (scores, sums) in scores.chunks_exact_mut(stride).zip(&sums[..windows.len()]) {
            scores.as_chunks_mut::<PANEL>().0[panel] = *sums;
        }
    }
    let mut seen = [0; ROWS];
    for ((scores, window), seen) in scores.chunks_exact_mut(stride).zip(windows).zip(&mut seen) {
        // Whole vectors: what the last one holds beyond the window weighs 0 and adds 0.
        *seen = window.visible.next_multiple_of(LANES);
        scores[window.visible..*seen].fill(f32::NEG_INFINITY);
        scores[*seen..most.next_multiple_of(PANEL)].fill(0.0);
    }
    soften(scores, stride, &seen[..windows.len()], dim, factors);
    most
}

/// sums = the rows of `left`, part by part, times the first steps of a panel.
#[inline]
fn multiply(level: Level, left: &[Rows], panel: &[f32], sums: &mut Sums) {
    for (part, (left, panel)) in left.iter().zip(panel.chunks(STEPS * PANEL)).enumerate() {
        let panel = &panel[..left.steps() * PANEL];
        tile(level, left, bytemuck::cast_slice(panel), &[], part == 0, sums);
    }
}

/// A tile's rows in the words that products read, [`STEPS`] channels a part.
#[derive(Default)]
struct Left(Vec<Rows>);

impl Left {
    fn rows(&mut self, x: Matrix<'_>) -> &[Rows] {
        let parts = x.columns().div_ceil(STEPS);
        if self.0.len() < parts {
            self.0.resize_with(parts, Rows::new);
        }
        for (part, rows) in self.0[..parts].iter_mut().enumerate() {
            let channels = part * STEPS..((part + 1) * STEPS).min(x.columns());
            rows.fill_rows(x.part(0..x.rows(), channels));
        }
        &self.0[..parts]
    }

    /// The columns of a matrix of at most [`STEPS`] rows.
    fn columns(&mut self, x: Matrix<'_>) -> &Rows {
        if self.0.is_empty() {
            self.0.push(Rows::new());
        }
        self.0[0].fill_columns(x);
        &self.0[0]
    }
}

/// Memory of panels.
#[derive(Default)]
struct Packed(Lines<f32>);

/// Panels `[steps][32]`, one behind the other.
#[derive(Clone, Copy)]
struct Panels<'a> {
    data: &'a [f32],
    steps: usize,
}

impl<'a> Panels<'a> {
    #[inline]
    fn panel(self, index: usize) -> &'a [f32] {
        &self.data[index * self.steps * PANEL..][..self.steps * PANEL]
    }
}

impl Packed {
    /// The panels of the weight that `x` is.
    fn rows(&mut self, x: Matrix<'_>) -> Panels<'_> {
        self.pack(x.rows(), x.columns(), |panel, words| x.pack_rows(panel, 0..x.rows(), words))
    }

    /// The panels of the weight that the transpose of `x` is.
    fn columns(&mut self, x: Matrix<'_>) -> Panels<'_> {
        self.pack(x.columns(), x.rows(), |panel, words| x.pack_columns(panel, 0..x.columns(), words))
    }

    fn pack(&mut self, steps: usize, columns: usize, mut fill: impl FnMut(usize, &mut [f32])) -> Panels<'_> {
        let data = sized(&mut self.0, columns.div_ceil(PANEL) * steps * PANEL);
        for (panel, words) in data.chunks_exact_mut(steps * PANEL).enumerate() {
            fill(panel, words);
        }
        Panels { data, steps }
    }
}

/// The first `count` elements of memory that is replaced where it does not hold them, of unspecified values.
fn sized(memory: &mut Lines<f32>, count: usize) -> &mut [f32] {
    if memory.len() < count {
        *memory = Lines::zeros(count);
    }
    &mut memory[..count]
}
