//! Launches of `kernels/qkv.cu`.

use super::Gpu;
use crate::{
    Result, Tensor,
    kv::Run,
    ops::qkv::{Input, Projection, Rotation},
};

pub(crate) fn qkv(
    gpu: &Gpu,
    input: Input<'_>,
    projection: Projection<'_>,
    rotation: Option<Rotation<'_>>,
    runs: &mut [Run<'_>],
    slot: usize,
    out: &mut Tensor,
) -> Result<()> {
    let _ = (input, projection, rotation, runs, slot, out);
    Err(crate::Error::Device { device: gpu.name().into(), what: "not yet".into() })
}
