//! Cross-entropy of one row of logits.

use super::{Real, at, sum};

/// −ln softmax(logits)`[target]`, and its gradient softmax(logits) − 1 at the target.
pub fn cross_entropy<R: Real>(logits: &[f32], target: usize) -> (R, Vec<R>) {
    let logits: Vec<R> = at(logits).collect();
    let most = logits.iter().copied().fold(logits[0], |a, b| if b > a { b } else { a });
    let weights: Vec<R> = logits.iter().map(|&x| (x - most).exp()).collect();
    let total = sum(weights.iter().copied());
    let loss = total.ln() - (logits[target] - most);
    let hit = |i| R::of(if i == target { 1.0 } else { 0.0 });
    (loss, weights.into_iter().enumerate().map(|(i, weight)| weight / total - hit(i)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::{assert_gradient, grid};

    #[test]
    fn gradient_is_the_difference() {
        let logits = grid(1, 7);
        for target in 0..7 {
            let (_, gradient) = cross_entropy::<f64>(&logits, target);
            assert_gradient(&logits, &gradient, &[1.0], |x| vec![cross_entropy(x, target).0]);
        }
    }
}
