//! Cross-entropy of logits with target tokens, and its gradient.

use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// The losses −ln softmax(logits)`[target]` of the rows of `[rows, vocabulary]`; the logits become the gradient of `scale` times
/// their sum: scale·(softmax(logits) − 1 at the target). A row without a target has loss and gradient 0.
///
/// # Errors
/// Another number of targets; a target outside the vocabulary; no logits; what went wrong on the device since the last wait.
pub fn cross_entropy(logits: &mut Tensor, targets: &[Option<u32>], scale: f32) -> Result<Vec<f32>> {
    const NAME: &str = "cross_entropy";
    let vocabulary = logits.width();
    check(NAME, logits.rows() == targets.len() && vocabulary > 0, || {
        format!("{} targets for [{}, {vocabulary}]", targets.len(), logits.rows())
    })?;
    for &target in targets.iter().flatten() {
        check(NAME, (target as usize) < vocabulary, || {
            format!("target {target} of a vocabulary of {vocabulary}")
        })?;
    }
    match logits.device().clone() {
        Device::Cpu => Ok(cpu::cross_entropy::cross_entropy(logits.data_mut(), vocabulary, targets, scale)),
        Device::Gpu(gpu) => gpu::cross_entropy::cross_entropy(&gpu, logits, targets, scale),
    }
}
