//! Entropy and divergence from logits: what exit criteria on distributions are made of (spec huginn §3.2.2).

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// out `[rows, 2]` = −Σ p ln(p + 1e-10) of each row's softmax p, and KL(q ‖ p) with the softmax q of the same row of
/// `before`, uniform without it. For the divergence alone, probabilities below `min_p` of their row's largest count as
/// 1/V and both rows are normalised again; 0 leaves them as they are.
///
/// # Errors
/// Shapes that differ; rows without channels; `min_p` outside [0, 1]; operands on different devices.
pub fn entropy(logits: &Tensor, before: Option<&Tensor>, min_p: f32, out: &mut Tensor) -> Result<()> {
    let (rows, width) = (logits.rows(), logits.width());
    check("entropy", width > 0, || "rows without logits".into())?;
    check("entropy", (0.0..=1.0).contains(&min_p), || format!("min_p {min_p} outside [0, 1]"))?;
    if let Some(before) = before {
        check("entropy", (before.rows(), before.width()) == (rows, width), || {
            format!("[{rows}, {width}] after [{}, {}]", before.rows(), before.width())
        })?;
        together("entropy", logits.device(), &[before.device()])?;
    }
    together("entropy", logits.device(), &[out.device()])?;
    out.reshape(rows, 2)?;
    match logits.device() {
        Device::Cpu => {
            cpu::entropy::entropy(logits.data(), before.map(Tensor::data), width, min_p, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::entropy::entropy(gpu, logits, before, min_p, out),
    }
}
