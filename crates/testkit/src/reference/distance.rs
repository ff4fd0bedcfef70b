//! Distances and cosines of rows.

use super::{Real, dot};

/// ‖x − y‖, ‖x‖, ‖y‖ and x·y of each row of `width`; the difference is an f32 one.
pub fn distance<R: Real>(x: &[f32], y: &[f32], width: usize) -> Vec<[R; 4]> {
    let row = |(x, y): (&[f32], &[f32])| {
        let apart: Vec<f32> = x.iter().zip(y).map(|(x, y)| x - y).collect();
        [dot::<R>(&apart, &apart).sqrt(), dot::<R>(x, x).sqrt(), dot::<R>(y, y).sqrt(), dot::<R>(x, y)]
    };
    x.chunks(width).zip(y.chunks(width)).map(row).collect()
}

/// x_i·x_j/(‖x_i‖‖x_j‖) of all pairs of rows of `width`, row by row, 0 where one is zero.
pub fn cosine<R: Real>(x: &[f32], width: usize) -> Vec<R> {
    let (zero, rows) = (R::of(0.0), || x.chunks(width));
    let pair = |x: &[f32], y: &[f32]| {
        let norms = dot::<R>(x, x).sqrt() * dot::<R>(y, y).sqrt();
        if norms == zero { zero } else { dot::<R>(x, y) / norms }
    };
    rows().flat_map(|x| rows().map(move |y| pair(x, y))).collect()
}
