//! Central differences, which analytic gradients of the references are held to.

use crate::inputs::Inputs;

/// Half the distance of the two values that a difference is taken of; a sum with a value of [`grid`] is exact in f32.
pub const STEP: f32 = 1.0 / 1024.0;

/// `count` numbers from −2 to 2 in eighths.
pub fn grid(seed: u64, count: usize) -> Vec<f32> {
    Inputs::new(seed).integers(count, 16).iter().map(|x| x / 8.0).collect()
}

/// Checks that `gradient` is that of Σ dy·`f` at `x`, values of [`grid`]. Differences err by STEP²/6 times a third derivative,
/// which is at most in the hundreds for the small inputs that they are meant for.
#[track_caller]
pub fn assert_gradient(x: &[f32], gradient: &[f64], dy: &[f32], f: impl Fn(&[f32]) -> Vec<f64>) {
    assert_eq!(x.len(), gradient.len(), "number of elements");
    let value = |at: usize, step: f32| {
        let mut moved = x.to_vec();
        moved[at] += step;
        let y = f(&moved);
        assert_eq!(y.len(), dy.len(), "number of results");
        y.iter().zip(dy).map(|(y, dy)| y * f64::from(*dy)).sum::<f64>()
    };
    for (at, &gradient) in gradient.iter().enumerate() {
        let difference = (value(at, STEP) - value(at, -STEP)) / f64::from(2.0 * STEP);
        let error = (gradient - difference).abs();
        assert!(error <= 1e-4 * (1.0 + gradient.abs()), "element {at}: {gradient}, differences {difference}");
    }
}
