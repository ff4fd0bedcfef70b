//! Operations, one file each: shapes are checked here, then the device's version runs.

pub mod activation;
pub mod adam;
pub mod adapter;
pub mod add;
pub mod arg_max;
pub mod attention;
pub mod cosine;
pub mod cross_entropy;
pub mod distance;
pub mod embedding;
pub mod entropy;
pub mod heads;
pub mod layer_norm;
pub mod linear;
pub mod perturb;
pub mod qkv;
pub mod rms_norm;
pub mod rope;
pub mod sandwich;
pub mod scale;
pub mod square_sum;
pub mod window_attention;

use crate::{Device, Result, error::check};

/// Checks that all operands are where the first is.
pub(crate) fn together(operation: &'static str, device: &Device, others: &[&Device]) -> Result<()> {
    let stray = others.iter().find(|&&other| other != device);
    check(operation, stray.is_none(), || {
        format!("operands on {device} and {}", stray.map_or_else(String::new, ToString::to_string))
    })
}
