//! Rotary position embedding.

use super::together;
use crate::{Device, Result, Tensor, cpu, error::check, gpu};

/// Which two channels of a head make pair i of d/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// 2i and 2i + 1 (Huginn).
    Interleaved,
    /// i and i + d/2 (Llama).
    HalfSplit,
}

/// base^(−channel/d): radians a position of the pair that begins with `channel` of a head of `head_dim`. The power is
/// rounded to f32 before it is inverted, as in the published implementations; it does not depend on the platform.
pub fn frequency(base: f32, channel: usize, head_dim: usize) -> f32 {
    let exponent = channel as f32 / head_dim as f32;
    1.0 / libm::pow(f64::from(base), f64::from(exponent)) as f32
}

/// out = (cos, sin) of position·frequency, `[rows, 2 · frequencies]`, cosines first. The angle is an f32 product, as in
/// the published implementations.
///
/// # Errors
/// No memory on the device.
pub fn angles(positions: &[usize], frequencies: &[f32], out: &mut Tensor) -> Result<()> {
    let (rows, width) = (positions.len(), 2 * frequencies.len());
    match out.device() {
        Device::Cpu => {
            out.reshape(rows, width)?;
            turn(positions, frequencies, out.data_mut());
            Ok(())
        }
        Device::Gpu(_) => {
            let mut angles = vec![0.0; rows * width];
            turn(positions, frequencies, &mut angles);
            out.set(rows, width, &angles)
        }
    }
}

fn turn(positions: &[usize], frequencies: &[f32], out: &mut [f32]) {
    for (row, &position) in out.chunks_mut(2 * frequencies.len().max(1)).zip(positions) {
        let (cos, sin) = row.split_at_mut(frequencies.len());
        for ((cos, sin), frequency) in cos.iter_mut().zip(sin).zip(frequencies) {
            let angle = f64::from(position as f32 * frequency);
            (*cos, *sin) = (libm::cos(angle) as f32, libm::sin(angle) as f32);
        }
    }
}

/// Rotates the first `heads` heads of each row of x by the row's `angles` `[rows, head_dim]`, in place.
///
/// # Errors
/// Widths that do not fit; operands on different devices.
pub fn rope(x: &mut Tensor, heads: usize, angles: &Tensor, layout: Layout) -> Result<()> {
    fits("rope", x, heads, angles)?;
    match x.device().clone() {
        Device::Cpu => {
            let (width, head_dim) = (x.width(), angles.width());
            cpu::rope::rope(x.data_mut(), width, heads, angles.data(), head_dim, layout, false);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::rope::rope(&gpu, x, heads, angles, layout, false),
    }
}

/// The gradient of [`rope`] from that of its output, in place: a rotation by the negative angles.
///
/// # Errors
/// As [`rope`].
pub fn rope_backward(dx: &mut Tensor, heads: usize, angles: &Tensor, layout: Layout) -> Result<()> {
    fits("rope_backward", dx, heads, angles)?;
    match dx.device().clone() {
        Device::Cpu => {
            let (width, head_dim) = (dx.width(), angles.width());
            cpu::rope::rope(dx.data_mut(), width, heads, angles.data(), head_dim, layout, true);
            Ok(())
        }
        Device::Gpu(gpu) => gpu::rope::rope(&gpu, dx, heads, angles, layout, true),
    }
}

fn fits(operation: &'static str, x: &Tensor, heads: usize, angles: &Tensor) -> Result<()> {
    let head_dim = angles.width();
    let fits = angles.rows() == x.rows()
        && head_dim.is_multiple_of(2)
        && head_dim > 0
        && heads <= x.width() / head_dim;
    let fits = fits && x.width() > 0;
    check(operation, fits, || format!("{heads} heads of {head_dim} in rows of {}", x.width()))?;
    together(operation, x.device(), &[angles.device()])
}
