//! LayerNorm and RMSNorm.

use super::{Real, at, sum};

/// (x − mean)/√(var + ε)·w + b of each row, with the biased variance.
pub fn layer_norm<R: Real>(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> Vec<R> {
    let width = R::of(weight.len() as f64);
    let row = |x: &[f32]| {
        let mean = sum(at::<R>(x)) / width;
        let variance = sum(at::<R>(x).map(|x| (x - mean) * (x - mean))) / width;
        let deviation = (variance + R::of(f64::from(eps))).sqrt();
        let scaled = at::<R>(x).zip(at::<R>(weight)).map(|(x, w)| (x - mean) / deviation * w);
        scaled.zip(at::<R>(bias)).map(|(x, b)| x + b).collect::<Vec<_>>()
    };
    x.chunks(weight.len()).flat_map(row).collect()
}

/// x/√(mean(x²) + ε)·w of each row.
pub fn rms_norm<R: Real>(x: &[f32], weight: &[f32], eps: f32) -> Vec<R> {
    let width = R::of(weight.len() as f64);
    let row = |x: &[f32]| {
        let square = sum(at::<R>(x).map(|x| x * x)) / width;
        let deviation = (square + R::of(f64::from(eps))).sqrt();
        at::<R>(x).zip(at::<R>(weight)).map(|(x, w)| x / deviation * w).collect::<Vec<_>>()
    };
    x.chunks(weight.len()).flat_map(row).collect()
}

/// The gradients of [`layer_norm`] by x, weight and bias, given that of its result.
pub fn layer_norm_backward<R: Real>(x: &[f32], weight: &[f32], eps: f32, dy: &[f32]) -> [Vec<R>; 3] {
    let width = R::of(weight.len() as f64);
    let normed = |x: &[f32]| {
        let mean = sum(at::<R>(x)) / width;
        let variance = sum(at::<R>(x).map(|x| (x - mean) * (x - mean))) / width;
        let deviation = (variance + R::of(f64::from(eps))).sqrt();
        (at::<R>(x).map(|x| (x - mean) / deviation).collect::<Vec<_>>(), deviation)
    };
    let [dx, dw] = norm_backward(x, weight, dy, true, normed);
    [dx, dw, super::column_sums(dy, weight.len())]
}

/// The gradients of [`rms_norm`] by x and weight, given that of its result.
pub fn rms_norm_backward<R: Real>(x: &[f32], weight: &[f32], eps: f32, dy: &[f32]) -> [Vec<R>; 2] {
    let width = R::of(weight.len() as f64);
    let normed = |x: &[f32]| {
        let square = sum(at::<R>(x).map(|x| x * x)) / width;
        let deviation = (square + R::of(f64::from(eps))).sqrt();
        (at::<R>(x).map(|x| x / deviation).collect::<Vec<_>>(), deviation)
    };
    norm_backward(x, weight, dy, false, normed)
}

fn norm_backward<R: Real>(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    centred: bool,
    normed: impl Fn(&[f32]) -> (Vec<R>, R),
) -> [Vec<R>; 2] {
    let width = R::of(weight.len() as f64);
    let mut dw = vec![R::of(0.0); weight.len()];
    let mut dx = Vec::new();
    for (x, dy) in x.chunks(weight.len()).zip(dy.chunks(weight.len())) {
        let (normed, deviation) = normed(x);
        for ((dw, &normed), dy) in dw.iter_mut().zip(&normed).zip(at::<R>(dy)) {
            *dw = *dw + dy * normed;
        }
        let g: Vec<R> = at::<R>(dy).zip(at::<R>(weight)).map(|(dy, w)| dy * w).collect();
        let mean = if centred { sum(g.iter().copied()) / width } else { R::of(0.0) };
        let slope = sum(g.iter().zip(&normed).map(|(&g, &normed)| g * normed)) / width;
        dx.extend(g.iter().zip(&normed).map(|(&g, &normed)| (g - mean - normed * slope) / deviation));
    }
    [dx, dw]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_gradient, grid};

    #[test]
    fn gradients_are_differences() {
        for width in [2, 5, 8] {
            let (x, w, b) = (grid(1, 3 * width), grid(2, width), grid(3, width));
            let dy = grid(4, 3 * width);
            let [dx, dw, db] = layer_norm_backward::<f64>(&x, &w, 0.5, &dy);
            assert_gradient(&x, &dx, &dy, |x| layer_norm(x, &w, &b, 0.5));
            assert_gradient(&w, &dw, &dy, |w| layer_norm(&x, w, &b, 0.5));
            assert_gradient(&b, &db, &dy, |b| layer_norm(&x, &w, b, 0.5));
            let [dx, dw] = rms_norm_backward::<f64>(&x, &w, 0.5, &dy);
            assert_gradient(&x, &dx, &dy, |x| rms_norm(x, &w, 0.5));
            assert_gradient(&w, &dw, &dy, |w| rms_norm(&x, w, 0.5));
        }
    }
}
