//! Networks over parameters that change: each forward pass with the backward pass beside it, block by block.
//!
//! What a backward pass needs is what the forward pass returns; nothing is recorded behind the scenes. A batch is gone over in
//! passes ([`crate::segment`]), and gradients in the opposite order, so that they flow through keys and values of earlier ones.

mod attention;
pub(crate) mod body;
mod depth;
pub(crate) mod feedback;
pub(crate) mod head;
pub(crate) mod huginn;
pub(crate) mod linear;
mod mlp;
mod norm;
mod pre_norm;
pub(crate) mod sandwich;
pub(crate) mod states;

pub(crate) use attention::Cache;

use fathom::{Tensor, ops::add::add};

use crate::error::Result;

/// Adds the rows of `part` to rows `rows` of x.
pub(crate) fn scatter(x: &mut Tensor, rows: &[usize], part: &Tensor) -> Result<()> {
    let zero = Tensor::zeros(x.device(), 1, x.width())?;
    let mut from: Vec<(&Tensor, usize)> = vec![(&zero, 0); x.rows()];
    rows.iter().enumerate().for_each(|(at, &row)| from[row] = (part, at));
    let mut whole = Tensor::empty(x.device());
    whole.gather(&from)?;
    Ok(add(x, &whole)?)
}
