//! Gradients of LayerNorm and RMSNorm. With g = dy·w, x̂ the normalised channel and r its scale, LayerNorm's is
//! dx = r·(g − mean(g) − x̂·mean(g·x̂)), and RMSNorm's the same without mean(g).

use rayon::prelude::*;

use super::root_mean_square;
use crate::cpu::{
    columns::{BLOCK, add_each},
    simd::{halved, widest},
};

widest! {
    /// Mean and 1/√(var + ε) of a row: the sum, then that of the squared distances.
    fn statistics(x: &[f32], eps: f32, mean: &mut f32, scale: &mut f32) {
        let width = x.len() as f32;
        *mean = sum(x, |x| x) / width;
        let variance = sum(x, |x| (x - *mean) * (x - *mean)) / width;
        *scale = 1.0 / (variance + eps).sqrt();
    }
}

widest! {
    /// 1/√(mean(x²) + ε) of a row.
    fn inverse(x: &[f32], eps: f32, scale: &mut f32) {
        *scale = root_mean_square(x, eps);
    }
}

/// Lanes of a row's sums.
const LANES: usize = 16;

/// dx of each row; dw += Σ dy·x̂ and db += Σ dy over the rows, in blocks as in [`crate::cpu::columns`].
pub(crate) fn layer_norm_backward(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
    db: &mut [f32],
) {
    let width = weight.len();
    let sums = blocks(x, dy, dx, width, 2, |x, dy, dx, sums| {
        let (dw, db) = sums.split_at_mut(width);
        let (mut mean, mut scale) = (0.0, 0.0);
        statistics(x, eps, &mut mean, &mut scale);
        norm_row(Row { x, weight, dy, mean, scale }, true, dx, dw);
        add_each(dy, db);
    });
    for sums in sums.chunks(2 * width) {
        add_each(&sums[..width], dw);
        add_each(&sums[width..], db);
    }
}

/// dx of each row; dw += Σ dy·x̂ over the rows.
pub(crate) fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    dy: &[f32],
    dx: &mut [f32],
    dw: &mut [f32],
) {
    let sums = blocks(x, dy, dx, weight.len(), 1, |x, dy, dx, dw| {
        let mut scale = 0.0;
        inverse(x, eps, &mut scale);
        norm_row(Row { x, weight, dy, mean: 0.0, scale }, false, dx, dw);
    });
    add_each(&sums, dw);
}

/// Calls `row(x, dy, dx, sums)` for all rows, those of a block in turn; the sums of the blocks, `vectors` · width each.
fn blocks(
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    width: usize,
    vectors: usize,
    row: impl Fn(&[f32], &[f32], &mut [f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut sums = vec![0.0; x.len().div_ceil(BLOCK * width) * vectors * width];
    let inputs = x.par_chunks(BLOCK * width).zip(dy.par_chunks(BLOCK * width));
    let outputs = dx.par_chunks_mut(BLOCK * width).zip(sums.par_chunks_mut(vectors * width));
    outputs.zip(inputs).for_each(|((dx, sums), (x, dy))| {
        let rows = x.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
        rows.for_each(|((x, dy), dx)| row(x, dy, dx, sums));
    });
    sums
}

/// One row, and what its statistics are.
#[derive(Clone, Copy)]
struct Row<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    dy: &'a [f32],
    mean: f32,
    scale: f32,
}

impl<'a> Row<'a> {
    /// [`LANES`] channels at a time, and then the rest.
    #[inline(always)]
    fn pieces(self) -> (impl Iterator<Item = Row<'a>>, Row<'a>) {
        let Row { x, weight, dy, .. } = self;
        let [(x, x_rest), (weight, weight_rest), (dy, dy_rest)] =
            [x, weight, dy].map(<[f32]>::as_chunks::<LANES>);
        let whole = x.iter().zip(weight.iter().zip(dy));
        let whole = whole.map(move |(x, (weight, dy))| Row { x, weight, dy, ..self });
        (whole, Row { x: x_rest, weight: weight_rest, dy: dy_rest, ..self })
    }

    /// dy, g and x̂ of its channels.
    #[inline(always)]
    fn channels(self) -> impl Iterator<Item = (f32, f32, f32)> {
        let Row { x, weight, dy, mean, scale } = self;
        x.iter()
            .zip(weight.iter().zip(dy))
            .map(move |(x, (weight, &dy))| (dy, dy * weight, (x - mean) * scale))
    }
}

/// Sums of a row by lane.
struct Sums {
    /// Σ g
    means: [f32; LANES],
    /// Σ g·x̂
    slopes: [f32; LANES],
}

impl Sums {
    const NONE: Self = Self { means: [0.0; LANES], slopes: [0.0; LANES] };

    /// Those of up to [`LANES`] channels more; dw += dy·x̂.
    #[inline(always)]
    fn add(&mut self, row: Row<'_>, dw: &mut [f32]) {
        let lanes = self.means.iter_mut().zip(&mut self.slopes).zip(dw);
        for (((mean, slope), dw), (dy, g, normed)) in lanes.zip(row.channels()) {
            *mean += g;
            *slope = g.mul_add(normed, *slope);
            *dw = dy.mul_add(normed, *dw);
        }
    }
}

widest! {
    /// One row; `centred` for LayerNorm.
    fn norm_row(row: Row<'_>, centred: bool, dx: &mut [f32], dw: &mut [f32]) {
        let width = row.x.len() as f32;
        let mut sums = Sums::NONE;
        let (whole, rest) = row.pieces();
        let (dw, dw_rest) = dw.as_chunks_mut::<LANES>();
        whole.zip(dw).for_each(|(row, dw)| sums.add(row, dw));
        sums.add(rest, dw_rest);
        let mean = if centred { total(sums.means) / width } else { 0.0 };
        let slope = total(sums.slopes) / width;
        for (dx, (_, g, normed)) in dx.iter_mut().zip(row.channels()) {
            *dx = row.scale * (-normed).mul_add(slope, g - mean);
        }
    }
}

/// Σ f(x) by lane.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let mut add = |x: &[f32]| lanes.iter_mut().zip(x).for_each(|(lane, &x)| *lane += f(x));
    let (whole, rest) = x.as_chunks::<LANES>();
    whole.iter().for_each(|x| add(x));
    add(rest);
    total(lanes)
}

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    halved(lanes, |a, b| a + b)
}
