//! How far rows lie apart.

use rayon::prelude::*;

/// Rows a task at least, so that a task outweighs its start.
const ROWS: usize = 16;

/// ‖x − y‖, ‖x‖, ‖y‖ and x·y by row, summed in double precision.
pub(crate) fn distance(x: &[f32], y: &[f32], width: usize, out: &mut [f32]) {
    let pairs = x.par_chunks(width).zip(y.par_chunks(width));
    out.par_chunks_mut(4).zip(pairs).with_min_len(ROWS).for_each(|(out, (x, y))| {
        let sum = |term: fn(f32, f32) -> f64| x.iter().zip(y).map(|(&x, &y)| term(x, y)).sum::<f64>();
        let squares = [
            sum(|x, y| f64::from(x - y).powi(2)),
            sum(|x, _| f64::from(x).powi(2)),
            sum(|_, y| f64::from(y).powi(2)),
        ];
        out[..3].copy_from_slice(&squares.map(|square| square.sqrt() as f32));
        out[3] = sum(|x, y| f64::from(x) * f64::from(y)) as f32;
    });
}
