//! The head's arg-max without its logits.

use crate::{Device, Result, Tensor, Weight, cpu, error::check};

/// `out[i]` = the column of the largest element of row i of x·W, the lowest on ties, for x `[rows, h]`. NaN loses to every
/// number.
///
/// # Errors
/// Widths that do not fit; a head without columns.
pub fn arg_max(x: &Tensor, head: &Weight, out: &mut Vec<u32>) -> Result<()> {
    let fits = x.width() == head.k() && head.n() > 0 && head.k() > 0;
    check("arg_max", fits, || {
        format!("rows of {} channels for a head [{}, {}]", x.width(), head.k(), head.n())
    })?;
    out.resize(x.rows(), 0);
    match x.device() {
        Device::Cpu => cpu::arg_max::arg_max(x.data(), head, out),
    }
    Ok(())
}
