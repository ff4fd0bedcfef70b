//! Attention of rows over windows of positions, and its gradients.

use std::ops::Range;

use super::{
    Real,
    attention::{Shape, attention, weights},
    dot, sum,
};

/// Softmax attention of each row of q over the rows of k and v that its window names.
pub fn window_attention<R: Real>(
    q: &[f32],
    k: &[f32],
    v: &[f32],
    windows: &[Range<usize>],
    shape: Shape,
) -> Vec<R> {
    let width = shape.kv * shape.dim;
    let row = |(q, window): (&[f32], &Range<usize>)| {
        let [keys, values] = [k, v].map(|rows| positions(rows, width, window));
        attention::<R>(q, &keys, &values, shape)
    };
    q.chunks(shape.query * shape.dim).zip(windows).flat_map(row).collect()
}

/// The gradients of [`window_attention`] by q, k and v, given that of its result.
pub fn window_attention_backward<R: Real>(
    [q, k, v]: [&[f32]; 3],
    dout: &[f32],
    windows: &[Range<usize>],
    shape: Shape,
) -> [Vec<R>; 3] {
    let width = shape.kv * shape.dim;
    let root = R::of(shape.dim as f64).sqrt();
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| vec![R::of(0.0); x.len()]);
    let wide = |x: f32| R::of(f64::from(x));
    for (row, window) in windows.iter().enumerate() {
        let [keys, values] = [k, v].map(|rows| positions(rows, width, window));
        for head in 0..shape.query {
            let at = (row * shape.query + head) * shape.dim;
            let (q, dout) = (&q[at..at + shape.dim], &dout[at..at + shape.dim]);
            let channels = shape.channels(head);
            let weights = weights::<R>(q, &keys, head, shape);
            let products: Vec<R> =
                values.iter().map(|value| dot::<R>(dout, &value[channels.clone()])).collect();
            let mean = sum(weights.iter().zip(&products).map(|(&weight, &product)| weight * product));
            for (index, (&weight, &product)) in weights.iter().zip(&products).enumerate() {
                let slope = weight * (product - mean) / root;
                let place = (window.start + index) * width + channels.start;
                for channel in 0..shape.dim {
                    let key = wide(keys[index][channels.start + channel]);
                    dq[at + channel] = dq[at + channel] + slope * key;
                    dk[place + channel] = dk[place + channel] + slope * wide(q[channel]);
                    dv[place + channel] = dv[place + channel] + weight * wide(dout[channel]);
                }
            }
        }
    }
    [dq, dk, dv]
}

fn positions<'a>(rows: &'a [f32], width: usize, window: &Range<usize>) -> Vec<&'a [f32]> {
    rows.chunks(width).skip(window.start).take(window.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_gradient, grid};

    /// Causal rows, rows that share positions, and one that sees a single position; heads that share keys.
    #[test]
    fn gradients_are_differences() {
        for (query, kv, dim) in [(1, 1, 4), (2, 1, 3), (4, 2, 2)] {
            let shape = Shape { query, kv, dim };
            let windows = [0..1, 0..2, 0..3, 2..5, 1..4];
            let (q, dout) = (grid(1, 5 * query * dim), grid(2, 5 * query * dim));
            let (k, v) = (grid(3, 5 * kv * dim), grid(4, 5 * kv * dim));
            let [dq, dk, dv] = window_attention_backward::<f64>([&q, &k, &v], &dout, &windows, shape);
            assert_gradient(&q, &dq, &dout, |q| window_attention(q, &k, &v, &windows, shape));
            assert_gradient(&k, &dk, &dout, |k| window_attention(&q, k, &v, &windows, shape));
            assert_gradient(&v, &dv, &dout, |v| window_attention(&q, &k, v, &windows, shape));
        }
    }
}
