//! Steps of optimizers, element by element.

use rayon::prelude::*;

use super::{
    simd::widest,
    square_sum::{CHUNK, LANES, fold},
};

/// A step of AdamW as factors of what it adds.
#[derive(Clone, Copy)]
pub(crate) struct AdamW {
    /// Of the gradient, before anything else.
    pub(crate) factor: f32,
    /// 1 − β of both moments.
    pub(crate) shares: [f32; 2],
    /// 1 − lr·decay
    pub(crate) kept: f32,
    /// lr/(1 − β₁ᵗ)
    pub(crate) step: f32,
    /// √(1 − β₂ᵗ)
    pub(crate) root: f32,
    pub(crate) eps: f32,
}

/// p ← kept·p − step·m/(√v/root + ε) with the moments of the new gradient.
pub(crate) fn adamw(p: &mut [f32], g: &[f32], moments: [&mut [f32]; 2], rule: AdamW) {
    let [m, v] = moments.map(|moment| moment.par_chunks_mut(CHUNK));
    let chunks = p.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(m.zip(v));
    chunks.for_each(|((p, g), (m, v))| adamw_chunk(p, g, m, v, rule));
}

widest! {
    fn adamw_chunk(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], rule: AdamW) {
        for (((p, &g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            gather(rule.factor * g, m, v, rule.shares);
            *p = rule.kept * *p - rule.step * (*m / (v.sqrt() / rule.root + rule.eps));
        }
    }
}

/// m ← m + (1 − β₁)(g − m), v ← v + (1 − β₂)(g² − v).
#[inline(always)]
fn gather(g: f32, m: &mut f32, v: &mut f32, shares: [f32; 2]) {
    *m = shares[0].mul_add(g - *m, *m);
    *v = shares[1].mul_add(g * g - *v, *v);
}

/// A step of ELLISAdam as factors of what it adds.
#[derive(Clone, Copy)]
pub(crate) struct EllisAdam {
    pub(crate) factor: f32,
    /// 1 − β of both moments; 1 where they begin.
    pub(crate) shares: [f32; 2],
    /// ε²
    pub(crate) least: f32,
    /// 1 − (lr/peak)·decay
    pub(crate) kept: f32,
    /// lr/(1 − β₁ᵗ)
    pub(crate) step: f32,
    /// √(1 − β₂ᵗ)
    pub(crate) root: f32,
}

/// p ← kept·p − step/max(1, ρ)·atan2(m, √v/root) with the moments of the new gradient, v at least ε², and ρ = √mean(g²/v).
pub(crate) fn ellis_adam(p: &mut [f32], g: &[f32], moments: [&mut [f32]; 2], rule: EllisAdam) {
    let [m, v] = moments;
    let gathered = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)).zip(g.par_chunks(CHUNK));
    let ratios: Vec<f32> = gathered
        .map(|((m, v), g)| {
            let mut ratios = 0.0;
            gather_chunk(g, m, v, rule, &mut ratios);
            ratios
        })
        .collect();
    let total: f64 = ratios.into_iter().map(f64::from).sum();
    let excess = (total / g.len() as f64).sqrt().max(1.0);
    let rule = EllisAdam { step: (f64::from(rule.step) / excess) as f32, ..rule };
    let chunks = p.par_chunks_mut(CHUNK).zip(m.par_chunks(CHUNK).zip(v.par_chunks(CHUNK)));
    chunks.for_each(|(p, (m, v))| turn_chunk(p, m, v, rule));
}

widest! {
    /// The moments of the new gradient, and Σ g²/v.
    fn gather_chunk(g: &[f32], m: &mut [f32], v: &mut [f32], rule: EllisAdam, ratios: &mut f32) {
        let mut lanes = [0.0; LANES];
        let chunks = g.chunks(LANES).zip(m.chunks_mut(LANES).zip(v.chunks_mut(LANES)));
        for (g, (m, v)) in chunks {
            for (((&g, m), v), lane) in g.iter().zip(m).zip(v).zip(&mut lanes) {
                let g = rule.factor * g;
                gather(g, m, v, rule.shares);
                *v = if *v < rule.least { rule.least } else { *v };
                *lane += g * g / *v;
            }
        }
        *ratios = fold(lanes);
    }
}

widest! {
    fn turn_chunk(p: &mut [f32], m: &[f32], v: &[f32], rule: EllisAdam) {
        for ((p, &m), &v) in p.iter_mut().zip(m).zip(v) {
            *p = rule.kept * *p - rule.step * atan2(m, v.sqrt() / rule.root);
        }
    }
}

/// The angle of (x, y) for x > 0 within four units in the last place: the smaller over the larger, turned by π/8 where that
/// shortens it, and Cephes' polynomial of the arc tangent. Plain operations let it run on whole vectors.
#[inline(always)]
fn atan2(y: f32, x: f32) -> f32 {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    /// tan(π/8)
    const TURN: f32 = 0.414_213_57;
    let steep = y.abs() > x;
    let (small, large) = if steep { (x, y.abs()) } else { (y.abs(), x) };
    let turned = small > TURN * large;
    let (over, under) = if turned { (small - large, small + large) } else { (small, large) };
    let ratio = over / under;
    let square = ratio * ratio;
    let mut sum = 8.053_744_5e-2;
    for coefficient in [-1.387_768_6e-1, 1.997_771_1e-1, -3.333_295e-1] {
        sum = square.mul_add(sum, coefficient);
    }
    let angle = (sum * square).mul_add(ratio, ratio);
    let angle = if turned { FRAC_PI_4 + angle } else { angle };
    let angle = if steep { FRAC_PI_2 - angle } else { angle };
    angle.copysign(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against float64 on both sides of every turn, at the ends of the range, and for what is no number.
    #[test]
    fn angles_are_within_four_ulp() {
        for x in [1e-6f32, 0.3, 1.0, 77.0] {
            for i in -20_000..=20_000 {
                let y = x * (i as f32 / 4000.0) * (1.0 + (i as f32 / 2000.0).powi(4));
                let exact = f64::from(y).atan2(f64::from(x));
                let error = (f64::from(atan2(y, x)) - exact).abs();
                let allowed = 4.0 * f64::from(f32::EPSILON) / 2.0 * exact.abs();
                assert!(error <= allowed, "{y:e} over {x:e}: {} for {exact}", atan2(y, x));
            }
        }
        assert_eq!(atan2(f32::INFINITY, 1.0), std::f32::consts::FRAC_PI_2);
        assert_eq!(atan2(f32::NEG_INFINITY, 1.0), -std::f32::consts::FRAC_PI_2);
        assert_eq!(atan2(-0.0, 1.0).to_bits(), (-0.0f32).to_bits());
        assert!(atan2(f32::NAN, 1.0).is_nan());
    }
}
