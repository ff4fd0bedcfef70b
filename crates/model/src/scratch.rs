//! What a pass writes on its way, kept for the next one.

use std::sync::{Mutex, PoisonError};

use fathom::{
    DType, Device, Result, Tensor,
    ops::{attention::Query, rope::angles, sandwich},
};

/// The tensors and lists that a pass goes through. They keep their memory, so that a pass over as many rows as one
/// before it allocates nothing.
#[derive(Debug)]
pub struct Scratch {
    /// The residual stream.
    pub(crate) x: Tensor,
    pub(crate) normed: Tensor,
    pub(crate) qkv: Tensor,
    pub(crate) mixed: Tensor,
    pub(crate) hidden: Tensor,
    /// The state after the final norm.
    pub(crate) state: Tensor,
    /// Queries of the rows that are left.
    pub(crate) picked: Tensor,
    /// Rows that are left of another tensor, or the branch that joins the stream.
    pub(crate) aside: Tensor,
    pub(crate) turns: Tensor,
    /// Positions and frequencies of `turns`.
    turned: (Vec<usize>, Vec<f32>),
    pub(crate) sandwich: sandwich::Scratch,
    pub(crate) positions: Vec<usize>,
    pub(crate) ids: Vec<u32>,
    pub(crate) queries: Vec<Query>,
    pub(crate) slots: Vec<usize>,
}

impl Scratch {
    /// Without memory yet, for weights of `dtype`.
    pub fn new(device: &Device, dtype: DType) -> Self {
        let (empty, operand) = (|| Tensor::empty(device), || Tensor::operand(device, dtype));
        Self {
            x: empty(),
            normed: operand(),
            qkv: operand(),
            mixed: operand(),
            hidden: operand(),
            state: empty(),
            aside: empty(),
            picked: operand(),
            turns: empty(),
            turned: (Vec::new(), Vec::new()),
            sandwich: sandwich::Scratch::new(device, dtype),
            positions: Vec::new(),
            ids: Vec::new(),
            queries: Vec::new(),
            slots: Vec::new(),
        }
    }

    /// Takes the rotary angles of rows at `positions`, unless it has them from the pass before.
    pub(crate) fn turn(&mut self, positions: impl Iterator<Item = usize>, frequencies: &[f32]) -> Result<()> {
        self.positions.clear();
        self.positions.extend(positions);
        let (of, by) = &mut self.turned;
        if *of != self.positions || *by != frequencies {
            // Neither is true of what is left where this fails.
            of.clear();
            by.clear();
            angles(&self.positions, frequencies, &mut self.turns)?;
            of.clone_from(&self.positions);
            by.extend_from_slice(frequencies);
        }
        Ok(())
    }

    /// The angles for `times` as many rows, which stand where those of the first do.
    pub(crate) fn repeat_turns(&mut self, times: usize) -> Result<()> {
        if times != 1 {
            let once = std::mem::take(&mut self.turned.0);
            self.turns.repeat(times)?;
            self.turned.0 = once.repeat(times);
        }
        Ok(())
    }
}

/// Scratch for passes that run at the same time: each takes one and gives it back.
#[derive(Debug)]
pub(crate) struct Pool {
    device: Device,
    dtype: DType,
    idle: Mutex<Vec<Scratch>>,
}

impl Pool {
    pub(crate) fn new(device: &Device, dtype: DType) -> Self {
        Self { device: device.clone(), dtype, idle: Mutex::default() }
    }

    pub(crate) fn with<T>(&self, pass: impl FnOnce(&mut Scratch) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut scratch = taken.unwrap_or_else(|| Scratch::new(&self.device, self.dtype));
        let outcome = pass(&mut scratch);
        idle().push(scratch);
        outcome
    }
}
