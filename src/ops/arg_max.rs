//! The head's arg-max without its logits.

use super::together;
use crate::{Device, Result, Tensor, Tokens, Weight, cpu, error::check, gpu};

/// `out[i]` = the column of the largest element of row i of x·W, the lowest on ties, for x `[rows, h]`. NaN loses to every
/// number.
///
/// # Errors
/// Widths that do not fit; a head without columns; operands on different devices.
pub fn arg_max(x: &Tensor, head: &Weight, out: &mut Tokens) -> Result<()> {
    let fits = x.width() == head.k() && head.n() > 0 && head.k() > 0;
    check("arg_max", fits, || {
        format!("rows of {} channels for a head [{}, {}]", x.width(), head.k(), head.n())
    })?;
    together("arg_max", x.device(), &[head.device(), out.device()])?;
    match x.device() {
        Device::Cpu => {
            out.choose(x.rows(), head.n(), |out| cpu::arg_max::arg_max(x.data(), head, out));
            Ok(())
        }
        Device::Gpu(gpu) => {
            out.choose_on(gpu, x.rows(), head.n(), |out| gpu::arg_max::arg_max(gpu, x, head, out))
        }
    }
}
