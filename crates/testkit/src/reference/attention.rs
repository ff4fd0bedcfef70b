//! Attention of one row over a plain list of positions.

use half::bf16;

use super::{Real, dot, sum};

/// Heads of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Query heads.
    pub query: usize,
    /// Key and value heads.
    pub kv: usize,
    /// Channels a head.
    pub dim: usize,
}

impl Shape {
    /// The channels of a position's keys or values that query head `head` reads.
    pub(super) fn channels(self, head: usize) -> std::ops::Range<usize> {
        let first = head / (self.query / self.kv) * self.dim;
        first..first + self.dim
    }
}

/// softmax(q·kᵀ/√d)·v: `q` is `[query · dim]`, `keys` and `values` hold a row `[kv · dim]` a visible position.
pub fn attention<R: Real>(q: &[f32], keys: &[&[f32]], values: &[&[f32]], shape: Shape) -> Vec<R> {
    let head = |(head, q): (usize, &[f32])| {
        let weights = weights::<R>(q, keys, head, shape);
        let column = |channel: usize| {
            let terms = weights.iter().zip(values).map(|(&w, v)| w * R::of(f64::from(v[channel])));
            sum(terms)
        };
        shape.channels(head).map(column).collect::<Vec<_>>()
    };
    q.chunks(shape.dim).enumerate().flat_map(head).collect()
}

/// As [`attention`], with queries, keys, values and weights held in bf16 and sums in f32, which a plain bf16
/// implementation rounds at the end.
pub fn attention_bf16(q: &[f32], keys: &[&[f32]], values: &[&[f32]], shape: Shape) -> Vec<f32> {
    let round = |x: f32| bf16::from_f32(x).to_f32();
    let all = |rows: &[&[f32]]| rows.iter().map(|row| super::rounded_to_bf16(row)).collect::<Vec<_>>();
    let (q, keys, values) = (super::rounded_to_bf16(q), all(keys), all(values));
    let keys: Vec<&[f32]> = keys.iter().map(Vec::as_slice).collect();
    let head = |(head, q): (usize, &[f32])| {
        let weights: Vec<f32> = weights::<f32>(q, &keys, head, shape).into_iter().map(round).collect();
        let column = |channel: usize| sum(weights.iter().zip(&values).map(|(&w, v)| w * v[channel]));
        shape.channels(head).map(column).collect::<Vec<_>>()
    };
    q.chunks(shape.dim).enumerate().flat_map(head).collect()
}

pub(super) fn weights<R: Real>(q: &[f32], keys: &[&[f32]], head: usize, shape: Shape) -> Vec<R> {
    let root = R::of(shape.dim as f64).sqrt();
    let scores: Vec<R> = keys.iter().map(|key| dot::<R>(q, &key[shape.channels(head)]) / root).collect();
    let largest = scores.iter().copied().fold(scores[0], |a, b| if b > a { b } else { a });
    let weights: Vec<R> = scores.into_iter().map(|score| (score - largest).exp()).collect();
    let total = sum(weights.iter().copied());
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two positions whose scores differ by ln 3 weigh ¼ and ¾.
    #[test]
    fn weights_of_two_positions() {
        let q = [3.0f32.ln() * 2.0, 0.0, 0.0, 0.0];
        let (k0, k1) = ([0.0; 4], [1.0, 0.0, 0.0, 0.0]);
        let (v0, v1) = ([4.0; 4], [8.0; 4]);
        let out: Vec<f64> = attention(&q, &[&k0, &k1], &[&v0, &v1], Shape { query: 1, kv: 1, dim: 4 });
        assert!(out.iter().all(|x| (x - 7.0).abs() < 1e-6), "{out:?}");
    }
}
