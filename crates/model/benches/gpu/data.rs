//! Random operands.

use fathom::{DType, Device, Result, Tensor, Weight};
use rayon::prelude::*;

/// Element `index` of a bell of mean 0 and variance 1 (SplitMix64; four uniforms on [0, 2¹⁶) have variance 2³²/3).
pub(crate) fn element(index: usize) -> f32 {
    let z = (index as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    let bits = z ^ z >> 31;
    let sum: u32 = (0..4).map(|field| (bits >> (16 * field)) as u32 & 0xFFFF).sum();
    (sum as f32 / 65536.0 - 2.0) * 3.0f32.sqrt()
}

/// Elements from `first` on.
pub(crate) fn random(first: usize, count: usize) -> Vec<f32> {
    (first..first + count).into_par_iter().map(element).collect()
}

/// Rows that products read in bf16.
pub(crate) fn operand(device: &Device, rows: usize, width: usize, first: usize) -> Result<Tensor> {
    let mut tensor = Tensor::operand(device, DType::Bf16);
    tensor.set(rows, width, &random(first, rows * width))?;
    Ok(tensor)
}

/// f32 rows.
pub(crate) fn tensor(device: &Device, rows: usize, width: usize, first: usize) -> Result<Tensor> {
    Tensor::new(device, rows, width, random(first, rows * width))
}

/// A weight in bf16 whose products with rows of variance 1 have variance 1.
pub(crate) fn weight(device: &Device, k: usize, n: usize, first: usize) -> Result<Weight> {
    let scale = 1.0 / (k as f32).sqrt();
    Weight::from_fn(device, DType::Bf16, k, n, |row, column| scale * element(first + row * n + column))
}
