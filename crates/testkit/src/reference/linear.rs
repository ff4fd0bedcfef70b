//! y = x·W + b and the activations that follow it.

use super::{Real, at, sum};

/// x `[rows, k]` times W `[k, n]`, row-major, plus `bias` `[n]` if there is one.
pub fn linear<R: Real>(x: &[f32], w: &[f32], bias: Option<&[f32]>, k: usize, n: usize) -> Vec<R> {
    let row = |x: &[f32]| {
        let columns = (0..n).map(|column| {
            let product = sum(at::<R>(x).enumerate().map(|(i, x)| x * R::of(f64::from(w[i * n + column]))));
            bias.map_or(product, |bias| product + R::of(f64::from(bias[column])))
        });
        columns.collect::<Vec<_>>()
    };
    x.chunks(k).flat_map(row).collect()
}

/// ½x(1 + tanh(√(2/π)(x + 0.044715x³))).
pub fn gelu_tanh<R: Real>(x: R) -> R {
    let inner = R::of((2.0 / std::f64::consts::PI).sqrt()) * (x + R::of(0.044_715) * x * x * x);
    R::of(0.5) * x * (R::of(1.0) + inner.tanh())
}

/// ½x(1 + erf(x/√2)).
pub fn gelu_erf<R: Real>(x: R) -> R {
    R::of(0.5) * x * (R::of(1.0) + (x * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

/// silu(even element)·odd element of each pair.
pub fn swiglu<R: Real>(x: &[R]) -> Vec<R> {
    x.chunks_exact(2).map(|pair| pair[0] / (R::of(1.0) + (-pair[0]).exp()) * pair[1]).collect()
}

/// dyᵀ·x `[n, k]` for x `[rows, k]` and dy `[rows, n]`.
pub fn linear_backward_weight<R: Real>(x: &[f32], dy: &[f32], k: usize, n: usize) -> Vec<R> {
    let element = |i: usize| {
        let terms = x.chunks(k).zip(dy.chunks(n)).map(|(x, dy)| [dy[i / k], x[i % k]]);
        sum(terms.map(|factors| factors.map(|x| R::of(f64::from(x)))).map(|[dy, x]| dy * x))
    };
    (0..n * k).map(element).collect()
}

/// The sums of the columns of x `[rows, width]`.
pub fn column_sums<R: Real>(x: &[f32], width: usize) -> Vec<R> {
    (0..width).map(|column| sum(x.chunks(width).map(|x| R::of(f64::from(x[column]))))).collect()
}

/// The derivative of [`gelu_tanh`].
pub fn gelu_tanh_slope<R: Real>(x: R) -> R {
    let [half, one, cubic] = [0.5, 1.0, 0.044_715].map(R::of);
    let root = R::of((2.0 / std::f64::consts::PI).sqrt());
    let tanh = (root * (x + cubic * x * x * x)).tanh();
    half * (one + tanh) + half * x * (one - tanh * tanh) * root * (one + R::of(3.0) * cubic * x * x)
}

/// The derivative of [`gelu_erf`].
pub fn gelu_erf_slope<R: Real>(x: R) -> R {
    let density = (-(x * x) / R::of(2.0)).exp() / R::of((2.0 * std::f64::consts::PI).sqrt());
    R::of(0.5) * (R::of(1.0) + (x * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf()) + x * density
}

/// The derivatives of silu(gate)·up by gate and by up.
pub fn swiglu_slopes<R: Real>(gate: R, up: R) -> [R; 2] {
    let one = R::of(1.0);
    let sigmoid = one / (one + (-gate).exp());
    [up * sigmoid * (one + gate * (one - sigmoid)), gate * sigmoid]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{STEP, assert_gradient, grid};

    /// Activations' slopes are those of their values.
    #[test]
    fn slopes_are_differences() {
        for x in (-48..=48).map(|i| f64::from(i) / 8.0) {
            let step = f64::from(STEP);
            let slope = |f: fn(f64) -> f64| (f(x + step) - f(x - step)) / (2.0 * step);
            assert!((gelu_tanh_slope(x) - slope(gelu_tanh)).abs() < 1e-6, "tanh at {x}");
            assert!((gelu_erf_slope(x) - slope(gelu_erf)).abs() < 1e-6, "erf at {x}");
            let of = |gate, up| swiglu(&[gate, up])[0];
            let [by_gate, by_up] = swiglu_slopes(x, 1.5);
            assert!((by_gate - slope(|x| swiglu(&[x, 1.5])[0])).abs() < 1e-6, "gate at {x}");
            assert!(
                (by_up - (of(x, 1.0 + step) - of(x, 1.0 - step)) / (2.0 * step)).abs() < 1e-6,
                "up at {x}"
            );
        }
    }

    #[test]
    fn products_of_columns_are_the_weights_gradient() {
        let (k, n) = (3, 2);
        let (x, w, dy) = (grid(1, 4 * k), grid(2, k * n), grid(3, 4 * n));
        // The gradient is [n, k]; w is [k, n].
        let transposed = |dw: Vec<f64>| (0..k * n).map(|i| dw[i % n * k + i / n]).collect::<Vec<_>>();
        let expected = transposed(linear_backward_weight(&x, &dy, k, n));
        assert_gradient(&w, &expected, &dy, |w| linear(&x, w, None, k, n));
        let bias = grid(4, n);
        assert_gradient(&bias, &column_sums::<f64>(&dy, n), &dy, |bias| linear(&x, &w, Some(bias), k, n));
    }
}
