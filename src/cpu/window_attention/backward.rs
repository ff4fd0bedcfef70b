//! Gradients of attention over windows. With P the weights, D the products of each row's output with its gradient, and
//! S = P∘(dO·Vᵀ − D)/√d: dQ = S·K, dK = Sᵀ·Q, dV = Pᵀ·dO.
//!
//! Runs that see common positions are one task, so that what is added to a position is added in one order.

use super::*;

/// Rows whose P and S are held at a time.
const BLOCK: usize = 8 * ROWS;

/// What a task of gradients works on beside [`super::Bench`].
#[derive(Default)]
pub(super) struct Bench {
    key_rows: Packed,
    queries: Packed,
    douts: Packed,
    slopes: Lines<f32>,
    /// Sums of keys' and of values' gradients, by tile of positions and panel of channels.
    sums: [Vec<Sums>; 2],
}

/// What gradients are computed from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) q: Matrix<'a>,
    pub(crate) k: Matrix<'a>,
    pub(crate) v: Matrix<'a>,
    pub(crate) out: Matrix<'a>,
    pub(crate) dout: Matrix<'a>,
}

/// dq = …; dk += …; dv += ….
pub(crate) fn window_attention_backward(
    inputs: Inputs<'_>,
    heads: Heads,
    windows: &[Window],
    [dq, dk, dv]: [&mut [f32]; 3],
) {
    let tasks = apart(Run::all(windows));
    let dq = Shared::new(dq, heads.query * heads.dim);
    let gradients = [dk, dv].map(|gradient| Shared::new(gradient, heads.kv * heads.dim));
    (0..tasks.len() * heads.kv).into_par_iter().for_each(|task| {
        let (runs, head) = (&tasks[task / heads.kv], task % heads.kv);
        super::BENCH.with_borrow_mut(|bench| {
            for run in runs {
                let task = Task { inputs, heads, windows, run, head, level: Level::best() };
                task.run(bench, &dq, &gradients);
            }
        });
    });
}

/// The runs in groups that see no common position.
fn apart(mut runs: Vec<Run>) -> Vec<Vec<Run>> {
    runs.sort_by_key(|run| run.seen.start);
    let mut groups: Vec<Vec<Run>> = Vec::new();
    let mut end = 0;
    for run in runs {
        match groups.last_mut() {
            Some(group) if run.seen.start < end => {
                end = end.max(run.seen.end);
                group.push(run);
            }
            _ => {
                end = run.seen.end;
                groups.push(vec![run]);
            }
        }
    }
    groups
}

/// One run of rows and one head of keys and values.
struct Task<'a> {
    inputs: Inputs<'a>,
    heads: Heads,
    windows: &'a [Window],
    run: &'a Run,
    head: usize,
    level: Level,
}

impl Task<'_> {
    fn run(&self, bench: &mut super::Bench, dq: &Shared<'_>, [dk, dv]: &[Shared<'_>; 2]) {
        let super::Bench { keys, values, left, scores, backward } = bench;
        let Bench { key_rows, queries, douts, slopes, sums: [of_keys, of_values] } = backward;
        let (Inputs { q, k, v, dout, .. }, seen) = (self.inputs, &self.run.seen);
        let [k, v] = [k, v].map(|x| x.part(seen.clone(), self.channels(self.head)));
        let packed =
            Operands { keys: keys.columns(k), key_rows: key_rows.rows(k), values: values.columns(v) };
        let stride = seen.len().next_multiple_of(PANEL);
        let [weights, slopes] = [scores, slopes].map(|memory| sized(memory, BLOCK * stride));
        for sums in [&mut *of_keys, of_values] {
            sums.clear();
            sums.resize(seen.len().div_ceil(ROWS) * self.panels(), [[0.0; PANEL]; ROWS]);
        }
        for head in super::queries(self.heads, self.head) {
            for first in self.run.rows.clone().step_by(BLOCK) {
                let block = first..(first + BLOCK).min(self.run.rows.end);
                let tiles =
                    weights.chunks_exact_mut(ROWS * stride).zip(slopes.chunks_exact_mut(ROWS * stride));
                for (first, (weights, slopes)) in block.clone().step_by(ROWS).zip(tiles) {
                    let rows = first..(first + ROWS).min(block.end);
                    self.rows(rows, head, packed, left, [weights, slopes], dq);
                }
                let [q, dout] = [q, dout].map(|x| x.part(block.clone(), self.channels(head)));
                self.positions(
                    block.clone(),
                    Matrix::strided(slopes, stride, block.len(), stride),
                    queries.rows(q),
                    left,
                    of_keys,
                );
                self.positions(
                    block.clone(),
                    Matrix::strided(weights, stride, block.len(), stride),
                    douts.rows(dout),
                    left,
                    of_values,
                );
            }
        }
        self.add(of_keys, dk);
        self.add(of_values, dv);
    }

    fn channels(&self, head: usize) -> Range<usize> {
        head * self.heads.dim..(head + 1) * self.heads.dim
    }

    /// Panels of a head's channels.
    fn panels(&self) -> usize {
        self.heads.dim.div_ceil(PANEL)
    }

    /// P, S and dQ of a tile's rows.
    fn rows(
        &self,
        rows: Range<usize>,
        head: usize,
        packed: Operands<'_>,
        left: &mut Left,
        [weights, slopes]: [&mut [f32]; 2],
        dq: &Shared<'_>,
    ) {
        let (dim, stride) = (self.heads.dim, weights.len() / ROWS);
        let Inputs { q, out, dout, .. } = self.inputs;
        let [q, out, dout] = [q, out, dout].map(|x| x.part(rows.clone(), self.channels(head)));
        let (windows, mut factors) = (&self.windows[rows.clone()], [0.0; ROWS]);
        let most = super::weights(self.level, left.rows(q), packed.keys, windows, dim, weights, &mut factors);
        let mut of_rows = [Factors::default(); ROWS];
        for (row, (of_row, factor)) in of_rows[..rows.len()].iter_mut().zip(factors).enumerate() {
            of_row.weight = factor;
            dot(out.row(row), dout.row(row), &mut of_row.mean);
        }
        let douts = left.rows(dout);
        let mut sums = [[0.0; PANEL]; ROWS];
        for panel in 0..most.div_ceil(PANEL) {
            multiply(self.level, douts, packed.values.panel(panel), &mut sums);
            slope_tile(&of_rows[..rows.len()], &sums, panel, weights, slopes, dim);
        }
        let left = left.rows(Matrix::strided(slopes, stride, rows.len(), most));
        for panel in 0..self.panels() {
            multiply(self.level, left, packed.key_rows.panel(panel), &mut sums);
            let column = head * dim + panel * PANEL;
            for (row, sums) in rows.clone().zip(&sums) {
                // SAFETY: this head's channels of these rows are this task's alone.
                let dq = unsafe { dq.piece(row, column, PANEL.min(dim - panel * PANEL)) };
                dq.copy_from_slice(&sums[..dq.len()]);
            }
        }
    }

    /// sums += xᵀ·right over the rows of a block, for x its P or S: by tile of positions and panel of channels.
    fn positions(
        &self,
        block: Range<usize>,
        x: Matrix<'_>,
        right: Panels<'_>,
        left: &mut Left,
        sums: &mut [Sums],
    ) {
        let seen = self.run.seen.len();
        for (first, sums) in (0..seen).step_by(ROWS).zip(sums.chunks_exact_mut(self.panels())) {
            let sees = |window: &Window| window.visible > first;
            let windows = &self.windows[block.clone()];
            let Some(from) = windows.iter().position(sees) else { continue };
            let to = windows.iter().rposition(sees).map_or(from, |last| last + 1);
            let left = left.columns(x.part(from..to, first..(first + ROWS).min(seen)));
            for (panel, sums) in sums.iter_mut().enumerate() {
                let right = &right.panel(panel)[from * PANEL..to * PANEL];
                tile(self.level, left, bytemuck::cast_slice(right), &[], false, sums);
            }
        }
    }

    /// gradient += sums, at the positions that the run sees.
    fn add(&self, sums: &[Sums], gradient: &Shared<'_>) {
        let dim = self.heads.dim;
        for (index, sums) in sums.iter().enumerate() {
            let (tile, panel) = (index / self.panels(), index % self.panels());
            let column = self.head * dim + panel * PANEL;
            let first = self.run.seen.start + tile * ROWS;
            for (row, sums) in (first..self.run.seen.end).zip(sums) {
                // SAFETY: this head's channels of the positions that the task's runs see are the task's alone.
                let gradient = unsafe { gradient.piece(row, column, PANEL.min(dim - panel * PANEL)) };
                gradient.iter_mut().zip(sums).for_each(|(gradient, sum)| *gradient += sum);
            }
        }
    }
}

/// A run's keys and values as its tiles read them.
#[derive(Clone, Copy)]
struct Operands<'a> {
    /// Kᵀ
    keys: Panels<'a>,
    /// K
    key_rows: Panels<'a>,
    /// Vᵀ
    values: Panels<'a>,
}

/// What a row's weights are computed with.
#[derive(Clone, Copy, Default)]
struct Factors {
    /// Makes weights of exponentials.
    weight: f32,
    /// The row's output times its gradient: the mean of dO·Vᵀ by weight.
    mean: f32,
}

widest! {
    /// P and S of a tile's rows at the positions of a panel, from the exponentials and from dO·Vᵀ.
    fn slope_tile(
        of_rows: &[Factors],
        products: &Sums,
        panel: usize,
        weights: &mut [f32],
        slopes: &mut [f32],
        dim: usize,
    ) {
        let (stride, scale) = (weights.len() / ROWS, 1.0 / (dim as f32).sqrt());
        for (row, (of_row, products)) in of_rows.iter().zip(products).enumerate() {
            let at = row * stride + panel * PANEL;
            let places = weights[at..at + PANEL].iter_mut().zip(&mut slopes[at..at + PANEL]);
            for ((weight, slope), product) in places.zip(products) {
                *weight *= of_row.weight;
                *slope = *weight * (product - of_row.mean) * scale;
            }
        }
    }
}

widest! {
    /// dot = a·b: channels by rank mod 16, then halves onto halves.
    fn dot(a: &[f32], b: &[f32], dot: &mut f32) {
        let mut lanes = [0.0f32; LANES];
        let mut add = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).zip(&mut lanes).for_each(|((&a, &b), lane)| *lane = a.mul_add(b, *lane));
        };
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        a.iter().zip(b).for_each(|(a, b)| add(a, b));
        add(a_rest, b_rest);
        *dot = halved(lanes, |a, b| a + b);
    }
}
