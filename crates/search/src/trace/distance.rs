//! Distances between states, relative to what they are distances from.

/// ‖a − b‖.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

/// ‖a‖.
fn norm(a: &[f32]) -> f64 {
    a.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>().sqrt()
}

/// x / y; 0 where both are.
fn over(x: f64, y: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x / y }
}

/// ‖s_t − s_r‖ / ‖s_r‖ of each state of a track, s_r being its last.
pub fn to_last(track: &[Vec<f32>]) -> Vec<f64> {
    let Some(last) = track.last() else { return Vec::new() };
    let size = norm(last);
    track.iter().map(|state| over(apart(state, last), size)).collect()
}

/// ‖s_t − s_{t−1}‖ / ‖s_t‖ of each state of a track but the first.
pub fn changes(track: &[Vec<f32>]) -> Vec<f64> {
    track.windows(2).map(|pair| over(apart(&pair[1], &pair[0]), norm(&pair[1]))).collect()
}

/// The mean over pairs i < j of ‖s_t^i − s_t^j‖, over the mean of ‖s_t^i‖, at each step t that two tracks have.
pub fn spread(tracks: &[&[Vec<f32>]]) -> Vec<f64> {
    let longest = tracks.iter().map(|track| track.len()).max().unwrap_or(0);
    let at = |t: usize| {
        let states: Vec<&[f32]> = tracks.iter().filter_map(|track| track.get(t).map(Vec::as_slice)).collect();
        let count = states.len();
        let pairs = states.iter().enumerate().flat_map(|(i, a)| states[..i].iter().map(move |b| apart(a, b)));
        let mean = pairs.sum::<f64>() / (count * count.saturating_sub(1) / 2) as f64;
        let size = states.iter().map(|state| norm(state)).sum::<f64>() / count as f64;
        (count >= 2).then(|| over(mean, size))
    };
    (0..longest).map_while(at).collect()
}

/// The values below which the `shares` of `values` lie, by the nearest rank; NaN of none.
pub fn quantiles<const N: usize>(values: impl IntoIterator<Item = f64>, shares: [f64; N]) -> [f64; N] {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1) as f64;
    shares.map(|share| values.get((share * last).round() as usize).copied().unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(points: &[[f32; 2]]) -> Vec<Vec<f32>> {
        points.iter().map(|point| point.to_vec()).collect()
    }

    #[test]
    fn distances_are_shares_of_what_they_end_in() {
        let track = track(&[[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]]);
        assert_eq!(to_last(&track), [1.0, 0.8, 0.0]);
        assert_eq!(changes(&track), [1.0, 0.8]);
        assert!(to_last(&[]).is_empty());
        assert_eq!(to_last(&[vec![0.0], vec![0.0]]), [0.0, 0.0]);
    }

    #[test]
    fn spread_is_over_pairs_and_ends_with_the_second_longest() {
        let tracks = [
            track(&[[1.0, 0.0], [2.0, 0.0]]),
            track(&[[1.0, 0.0], [0.0, 2.0]]),
            track(&[[0.0, 1.0]]),
            track(&[[1.0, 0.0], [-2.0, 0.0], [5.0, 5.0]]),
        ];
        let views: Vec<&[Vec<f32>]> = tracks.iter().map(Vec::as_slice).collect();
        // Three of six pairs lie √2 apart; then 2√2, 4 and 2√2 among states of length 2.
        let expected = [0.5 * 2.0f64.sqrt(), (4.0 * 2.0f64.sqrt() + 4.0) / 6.0];
        let found = spread(&views);
        assert_eq!(found.len(), 2);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert!(spread(&views[..1]).is_empty());
    }

    #[test]
    fn quantiles_are_values_that_are_there() {
        assert_eq!(quantiles([4.0, 1.0, 3.0, 2.0, 5.0], [0.0, 0.5, 0.9, 1.0]), [1.0, 3.0, 5.0, 5.0]);
        assert!(quantiles([], [0.5])[0].is_nan());
    }
}
