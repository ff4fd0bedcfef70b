//! Entropy and divergence of distributions given as logits.

use rayon::prelude::*;

/// −Σ p ln(p + 1e-10) of each row's softmax p, and KL(q ‖ p) with the softmax q of the row before it, uniform without one; in
/// double precision.
pub(crate) fn entropy(logits: &[f32], before: Option<&[f32]>, width: usize, min_p: f32, out: &mut [f32]) {
    out.par_chunks_mut(2).enumerate().for_each(|(row, out)| {
        let of = |logits: &[f32]| softmax(&logits[row * width..(row + 1) * width]);
        let p = of(logits);
        out[0] = -p.iter().map(|p| p * (p + 1e-10).ln()).sum::<f64>() as f32;
        let q = before.map_or_else(|| vec![1.0 / width as f64; width], of);
        let (p, q) = (raised(p, min_p), raised(q, min_p));
        let terms = q.iter().zip(&p).filter(|(q, _)| **q > 0.0).map(|(q, p)| q * (q.ln() - p.ln()));
        out[1] = terms.sum::<f64>() as f32;
    });
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|&x| f64::from(x - max).exp()).collect();
    normalized(weights)
}

/// Probabilities below `min_p` of the largest as 1/V, normalised again.
fn raised(mut p: Vec<f64>, min_p: f32) -> Vec<f64> {
    let floor = f64::from(min_p) * p.iter().copied().fold(0.0, f64::max);
    let uniform = 1.0 / p.len() as f64;
    p.iter_mut().filter(|p| **p < floor).for_each(|p| *p = uniform);
    normalized(p)
}

fn normalized(mut weights: Vec<f64>) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}
