//! Entropy and divergence from logits.

use super::{Real, at, sum};

/// −Σ p ln(p + 1e-10) of the softmax of `logits`, and KL(q ‖ p) with that of `before`, uniform without it, after both have
/// had what is below `min_p` of their largest raised to 1/V.
pub fn entropy<R: Real>(logits: &[f32], before: Option<&[f32]>, min_p: f32) -> [R; 2] {
    let uniform = R::of(1.0) / R::of(logits.len() as f64);
    let p = softmax::<R>(logits);
    let information = sum(p.iter().map(|&p| -p * (p + R::of(1e-10)).ln()));
    let q = before.map_or_else(|| vec![uniform; logits.len()], softmax);
    let raised = |p: Vec<R>| {
        let floor = R::of(f64::from(min_p)) * largest(&p);
        normalized(p.into_iter().map(|p| if p < floor { uniform } else { p }).collect())
    };
    let (p, q) = (raised(p), raised(q));
    let terms = q.iter().zip(&p).filter(|(q, _)| **q > R::of(0.0)).map(|(&q, &p)| q * (q.ln() - p.ln()));
    [information, sum(terms)]
}

fn softmax<R: Real>(logits: &[f32]) -> Vec<R> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let below: Vec<f32> = logits.iter().map(|x| x - most).collect();
    normalized(at::<R>(&below).map(Real::exp).collect())
}

fn largest<R: Real>(values: &[R]) -> R {
    values.iter().copied().fold(R::of(0.0), |a, b| if b > a { b } else { a })
}

fn normalized<R: Real>(weights: Vec<R>) -> Vec<R> {
    let total = sum(weights.iter().copied());
    weights.into_iter().map(|weight| weight / total).collect()
}
