//! Cosines of all pairs of rows.

use rayon::prelude::*;

/// out[i][j] = x_i·x_j/(‖x_i‖‖x_j‖), 0 where one of them is zero; summed in double precision.
pub(crate) fn cosine(x: &[f32], width: usize, out: &mut [f32]) {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    let norms: Vec<f64> = x.chunks(width).map(|x| dot(x, x).sqrt()).collect();
    out.par_chunks_mut(norms.len()).zip(x.par_chunks(width)).enumerate().for_each(|(i, (out, x_i))| {
        for (j, (out, x_j)) in out.iter_mut().zip(x.chunks(width)).enumerate() {
            let scale = norms[i] * norms[j];
            *out = if scale == 0.0 { 0.0 } else { (dot(x_i, x_j) / scale) as f32 };
        }
    });
}
