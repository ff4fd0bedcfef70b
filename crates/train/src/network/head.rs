//! The head's cross-entropy, by chunks of rows: logits of all are never there at once.

use fathom::{
    Tensor,
    ops::{
        cross_entropy::cross_entropy,
        linear::{Epilogue, linear},
    },
};

use super::linear::Linear;
use crate::{error::Result, parameters::Gradients};

/// Logits at a time.
const CHUNK: usize = 1 << 21;

/// Sum of −log p of the targets of rows x `[rows, h]`, those without one left out. Where there are gradients, adds the head's
/// of `scale` times it and sets dx.
pub(crate) fn loss(
    head: &Linear,
    x: &Tensor,
    targets: &[Option<u32>],
    scale: f32,
    mut gradients: Option<(&mut Gradients, &mut Tensor)>,
) -> Result<f64> {
    let device = x.device();
    if let Some((_, dx)) = &mut gradients {
        dx.reshape(x.rows(), x.width())?;
    }
    let rows_at_once = (CHUNK / head.weight().n().max(1)).max(1);
    let [mut part, mut logits, mut dpart] = [(); 3].map(|()| Tensor::empty(device));
    let mut sum = 0.0;
    for first in (0..x.rows()).step_by(rows_at_once) {
        let rows: Vec<usize> = (first..x.rows().min(first + rows_at_once)).collect();
        x.select(&rows, &mut part)?;
        linear(&part, head.weight(), None, Epilogue::None, &mut logits)?;
        let losses = cross_entropy(&mut logits, &targets[first..first + rows.len()], scale)?;
        sum += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
        if let Some((gradients, dx)) = &mut gradients {
            head.backward(&part, &logits, gradients, &mut dpart)?;
            dx.put(first, &dpart)?;
        }
    }
    Ok(sum)
}
