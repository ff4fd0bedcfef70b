//! What a track does in the end: the three behaviours that Huginn's authors describe (arXiv 2502.05171, section 7), by
//! thresholds of our own.
//!
//! The second half of the steps is judged, in order:
//!
//! | class | rule |
//! |---|---|
//! | fixed point | the last change ‖s_r − s_{r−1}‖ / ‖s_r‖ is below 0.01 |
//! | orbit | around their mean, in the plane of their two leading components, the states turn by more than 360° in all, and the smallest radius is at least half the largest |
//! | slider | along the leading component at least 90 % of the way is in one direction, and the last change is at least half the first |
//! | unsettled | none of these: mostly still on the way to a fixed point |

use std::f64::consts::TAU;
use std::fmt;

use serde::Serialize;

use super::distance::changes;
use super::pca::project;

/// The relative change below which a state has come to rest.
pub const REST: f64 = 0.01;
/// The smallest radius of an orbit, over the largest.
pub const ROUND: f64 = 0.5;
/// The share of a slider's way that is in one direction.
pub const STRAIGHT: f64 = 0.9;
/// The last change of a slider, over the first.
pub const STEADY: f64 = 0.5;

/// What a track does in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It has come to rest.
    FixedPoint,
    /// It circles.
    Orbit,
    /// It drifts in one direction.
    Slider,
    /// None of these.
    Unsettled,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FixedPoint, Self::Orbit, Self::Slider, Self::Unsettled];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FixedPoint => "fixed point",
            Self::Orbit => "orbit",
            Self::Slider => "slider",
            Self::Unsettled => "unsettled",
        })
    }
}

/// The class of a track by the rules above. Fewer than four states, of which nothing can be told but rest, are a fixed point or
/// unsettled; a state that is not finite is unsettled.
pub fn classify(track: &[Vec<f32>]) -> Class {
    let Some(&last) = changes(track).last() else { return Class::Unsettled };
    if last < REST {
        return Class::FixedPoint;
    }
    let tail = &track[track.len() / 2..];
    if tail.len() < 4 || tail.iter().flatten().any(|x| !x.is_finite()) {
        return Class::Unsettled;
    }
    let points = project(&tail.iter().map(Vec::as_slice).collect::<Vec<_>>(), 2).points;
    let plane: Vec<[f64; 2]> = points.iter().map(|point| [point[0], point[1]]).collect();
    let radii = plane.iter().map(|[x, y]| x.hypot(*y));
    let (least, most) = radii.fold((f64::INFINITY, 0.0_f64), |(low, high), r| (low.min(r), high.max(r)));
    if turned(&plane).abs() > TAU && least >= ROUND * most {
        return Class::Orbit;
    }
    let moves: Vec<f64> = plane.windows(2).map(|pair| pair[1][0] - pair[0][0]).collect();
    let (net, way) = (moves.iter().sum::<f64>().abs(), moves.iter().map(|x| x.abs()).sum::<f64>());
    let first = changes(tail).first().copied().unwrap_or(f64::INFINITY);
    if net >= STRAIGHT * way && last >= STEADY * first { Class::Slider } else { Class::Unsettled }
}

/// The angle by which points turn about the origin, signed, in radians.
fn turned(points: &[[f64; 2]]) -> f64 {
    let angle = |a: [f64; 2], b: [f64; 2]| (a[0] * b[1] - a[1] * b[0]).atan2(a[0] * b[0] + a[1] * b[1]);
    points.windows(2).map(|pair| angle(pair[0], pair[1])).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// r + 1 states in five dimensions, on a base of length 10 that keeps relative changes small.
    fn track(r: usize, at: impl Fn(f64) -> [f64; 2]) -> Vec<Vec<f32>> {
        let state = |t: usize| {
            let [x, y] = at(t as f64);
            vec![10.0, (0.6 * x) as f32, (0.8 * x) as f32, y as f32, 0.0]
        };
        (0..=r).map(state).collect()
    }

    #[test]
    fn the_classes_are_what_their_names_say() {
        let contraction = track(32, |t| [4.0 * 0.6f64.powf(t), 3.0 * 0.5f64.powf(t)]);
        let circle = track(32, |t| [2.0 * (0.7 * t).cos(), 2.0 * (0.7 * t).sin()]);
        let ellipse = track(64, |t| [2.0 * (-0.4 * t).cos(), 1.4 * (-0.4 * t).sin()]);
        let line = track(32, |t| [0.5 * t, 0.1 * (3.0 * t).sin()]);
        assert_eq!(classify(&contraction), Class::FixedPoint);
        assert_eq!(classify(&circle), Class::Orbit);
        assert_eq!(classify(&ellipse), Class::Orbit);
        assert_eq!(classify(&line), Class::Slider);
    }

    #[test]
    fn what_is_still_on_its_way_is_unsettled() {
        let slow = track(16, |t| [40.0 * 0.8f64.powf(t), 0.0]);
        let spiral =
            track(32, |t| [4.0 * 0.94f64.powf(t) * (0.7 * t).cos(), 4.0 * 0.94f64.powf(t) * (0.7 * t).sin()]);
        let zigzag =
            track(32, |t| [if (t as usize).is_multiple_of(3) { 1.0 } else { -1.0 }, (1.7 * t).sin()]);
        let half_a_turn = track(32, |t| [8.0 * (0.1 * t).cos(), 8.0 * (0.1 * t).sin()]);
        for (name, track) in [("slow", slow), ("spiral", spiral), ("zigzag", zigzag), ("half", half_a_turn)] {
            assert_ne!(classify(&track), Class::Orbit, "{name}");
            assert_ne!(classify(&track), Class::FixedPoint, "{name}");
        }
        assert_eq!(classify(&track(16, |t| [40.0 * 0.8f64.powf(t), 0.0])), Class::Unsettled);
        assert_eq!(classify(&[]), Class::Unsettled);
        assert_eq!(classify(&[vec![1.0], vec![1.001]]), Class::FixedPoint);
        assert_eq!(classify(&[vec![1.0], vec![2.0]]), Class::Unsettled);
        assert_eq!(classify(&vec![vec![f32::NAN, 1.0]; 12]), Class::Unsettled);
    }
}
