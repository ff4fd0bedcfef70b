//! Learning rates over time.

use serde::{Deserialize, Serialize};

/// How the learning rate goes, as a share of its largest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "shape", deny_unknown_fields)]
pub enum Schedule {
    /// A linear rise, a constant, a linear fall to 0 (spec huginn §4.5).
    Trapezoid {
        /// Steps of the rise.
        warmup: u64,
        /// Steps of the fall.
        cooldown: u64,
    },
    /// A linear rise, then half a cosine down to `floor`.
    Cosine {
        /// Steps of the rise.
        warmup: u64,
        /// The share at the end.
        #[serde(default)]
        floor: f64,
    },
}

impl Schedule {
    /// The share of the largest rate at step `step`, counted from 1, of `steps`.
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        let rise = |warmup: u64| if step < warmup { step as f64 / warmup as f64 } else { 1.0 };
        match *self {
            Schedule::Trapezoid { warmup, cooldown } => {
                let left = (steps + 1).saturating_sub(step);
                let fall = if left < cooldown { left as f64 / cooldown as f64 } else { 1.0 };
                rise(warmup).min(fall)
            }
            Schedule::Cosine { warmup, floor } => {
                if step < warmup {
                    return rise(warmup);
                }
                let through = (step - warmup) as f64 / (steps.saturating_sub(warmup)).max(1) as f64;
                let share = 0.5 * (1.0 + (std::f64::consts::PI * through.min(1.0)).cos());
                floor + (1.0 - floor) * share
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trapezoid_rises_and_falls() {
        let shape = Schedule::Trapezoid { warmup: 4, cooldown: 2 };
        let shares: Vec<f64> = (1..=8).map(|step| shape.at(step, 8)).collect();
        assert_eq!(shares, [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn a_cosine_ends_at_its_floor() {
        let shape = Schedule::Cosine { warmup: 2, floor: 0.1 };
        assert_eq!((shape.at(1, 10), shape.at(2, 10)), (0.5, 1.0));
        assert!((shape.at(6, 10) - 0.55).abs() < 1e-12 && (shape.at(10, 10) - 0.1).abs() < 1e-12);
    }
}
