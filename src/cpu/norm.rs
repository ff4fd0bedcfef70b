//! LayerNorm and RMSNorm of rows.

mod backward;

use rayon::prelude::*;

pub(crate) use backward::{layer_norm_backward, rms_norm_backward};

use super::simd::widest;

/// Rows a task at least, so that a task outweighs its start.
const ROWS: usize = 16;

/// (x − mean)/√(var + ε)·w + b by row, mean and biased variance by [`moments`].
pub(crate) fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    out.par_chunks_mut(width).zip(x.par_chunks(width)).with_min_len(ROWS).for_each(|(out, x)| {
        layer_norm_row(x, weight, bias, eps, out);
    });
}

widest! {
    /// One row.
    fn layer_norm_row(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, out: &mut [f32]) {
        let (mean, variance) = moments(x);
        let scale = 1.0 / (variance + eps).sqrt();
        for (((out, x), w), b) in out.iter_mut().zip(x).zip(weight).zip(bias) {
            *out = ((x - mean) * scale).mul_add(*w, *b);
        }
    }
}

/// Lanes that moments are gathered in.
const MOMENT_LANES: usize = 8;

/// Vectors of [`MOMENT_LANES`] that are gathered before their moments join those before them.
const MOMENT_CHUNK: usize = 16;

/// 1/n for the n-th vector of a chunk.
const SHARES: [f32; MOMENT_CHUNK] = {
    let mut shares = [0.0; MOMENT_CHUNK];
    let mut vector = 0;
    while vector < MOMENT_CHUNK {
        shares[vector] = 1.0 / (vector + 1) as f32;
        vector += 1;
    }
    shares
};

/// Levels at which chunks join: enough that up to 2¹⁴ channels join pairwise throughout.
const MOMENT_LEVELS: usize = 8;

/// Number of values, their mean, and the sum of their squared distances from it.
#[derive(Clone, Copy)]
struct Moments {
    count: usize,
    mean: f32,
    squares: f32,
}

impl Moments {
    const NONE: Self = Self { count: 0, mean: 0.0, squares: 0.0 };

    /// The moments of both sets of values (Chan, Golub and LeVeque 1983).
    #[inline(always)]
    fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        let share = if count == 0 { 0.0 } else { other.count as f32 / count as f32 };
        let delta = other.mean - self.mean;
        Self {
            count,
            mean: share.mul_add(delta, self.mean),
            squares: self.squares + (delta * delta * share).mul_add(self.count as f32, other.squares),
        }
    }
}

/// Mean and biased variance: Welford's recurrence in eight interleaved lanes over chunks of sixteen vectors, chunks
/// joined pairwise as a binary counter carries, then the elements behind the last whole vector, then the lanes from
/// left to right. PyTorch gathers a row's moments in the same order, which depends on the length alone.
#[inline(always)]
fn moments(x: &[f32]) -> (f32, f32) {
    let (whole, rest) = x.split_at(x.len() / MOMENT_LANES * MOMENT_LANES);
    let chunks = whole.len().div_ceil(MOMENT_LANES * MOMENT_CHUNK);
    let depth = (chunks.next_power_of_two().ilog2() as usize).clamp(1, MOMENT_LEVELS);
    let mut levels = [[Moments::NONE; MOMENT_LANES]; MOMENT_LEVELS];
    for (index, chunk) in whole.chunks(MOMENT_LANES * MOMENT_CHUNK).enumerate() {
        let (mut mean, mut squares) = ([0.0f32; MOMENT_LANES], [0.0f32; MOMENT_LANES]);
        for (vector, x) in chunk.chunks_exact(MOMENT_LANES).enumerate() {
            let share = SHARES[vector];
            for lane in 0..MOMENT_LANES {
                let delta = x[lane] - mean[lane];
                mean[lane] = delta.mul_add(share, mean[lane]);
                squares[lane] = delta.mul_add(x[lane] - mean[lane], squares[lane]);
            }
        }
        let count = chunk.len() / MOMENT_LANES;
        for (lane, moments) in levels[0].iter_mut().enumerate() {
            *moments = moments.join(Moments { count, mean: mean[lane], squares: squares[lane] });
        }
        let carries = ((index + 1).trailing_zeros() as usize).min(depth - 1);
        for level in 0..carries {
            let carried = std::mem::replace(&mut levels[level], [Moments::NONE; MOMENT_LANES]);
            levels[level + 1]
                .iter_mut()
                .zip(carried)
                .for_each(|(moments, carried)| *moments = moments.join(carried));
        }
    }
    let (lanes, higher) = levels.split_at_mut(1);
    for level in &higher[..depth - 1] {
        lanes[0].iter_mut().zip(level).for_each(|(moments, &other)| *moments = moments.join(other));
    }
    let mut all = Moments::NONE;
    for &x in rest {
        all.count += 1;
        let delta = x - all.mean;
        all.mean += delta / all.count as f32;
        all.squares = delta.mul_add(x - all.mean, all.squares);
    }
    let all = lanes[0].iter().fold(all, |all, &lane| all.join(lane));
    (all.mean, all.squares / x.len() as f32)
}

/// x/√(mean(x²) + ε)·w by row.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let width = weight.len();
    out.par_chunks_mut(width).zip(x.par_chunks(width)).with_min_len(ROWS).for_each(|(out, x)| {
        rms_norm_row(x, weight, eps, out);
    });
}

widest! {
    /// One row.
    fn rms_norm_row(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
        let scale = root_mean_square(x, eps);
        for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * w;
        }
    }
}

/// 1/√(mean(x²) + ε).
#[inline(always)]
fn root_mean_square(x: &[f32], eps: f32) -> f32 {
    1.0 / (sum(x, |x| x * x) / x.len() as f32 + eps).sqrt()
}

/// Lanes of a sum: four registers of eight.
const LANES: usize = 32;

/// Σ f(x) in 32 interleaved partial sums, the four registers added first, then their eight lanes from left to right:
/// an order that depends on the length alone. PyTorch sums rows in the same order, so that norms agree with the
/// published implementations to the last bits where everything before them does.
#[inline(always)]
fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut add = |x: &[f32]| lanes.iter_mut().zip(x).for_each(|(lane, &x)| *lane += f(x));
    let (whole, rest) = x.as_chunks::<LANES>();
    whole.iter().for_each(|x| add(x));
    add(rest);
    let (first, rest) = lanes.split_at_mut(8);
    for register in rest.chunks(8) {
        first.iter_mut().zip(register).for_each(|(lane, &x)| *lane += x);
    }
    first.iter().skip(1).fold(first[0], |sum, &lane| sum + lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against float64 at lengths around whole vectors, chunks and carries; the error of a lane grows with its length.
    #[test]
    fn moments_match_float64() {
        for length in [1, 7, 8, 9, 127, 128, 129, 300, 384, 768, 1000, 4099] {
            let x: Vec<f32> = (0..length).map(|i| 3.0 + ((i * 7919 + 13) % 1009) as f32 / 500.0).collect();
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / length as f64;
            let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / length as f64;
            let (m, v) = moments(&x);
            assert!((f64::from(m) - mean).abs() <= 2e-6, "{length}: mean {m} {mean}");
            assert!((f64::from(v) - variance).abs() <= 2e-6, "{length}: variance {v} {variance}");
        }
    }

    /// The widest instruction set rounds as plain code does.
    #[test]
    fn layer_norms_agree_bit_for_bit() {
        let x: Vec<f32> = (0..331).map(|i| ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0).collect();
        let (weight, bias): (Vec<f32>, Vec<f32>) = x.iter().map(|x| (1.0 + x / 5.0, x / 7.0)).unzip();
        let (mut out, mut plain) = (vec![f32::NAN; 331], vec![f32::NAN; 331]);
        layer_norm(&x, &weight, &bias, 1e-5, &mut out);
        layer_norm_row(&x, &weight, &bias, 1e-5, &mut plain);
        assert!(out.iter().zip(&plain).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
