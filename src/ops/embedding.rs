//! What enters the network: rows of the embedding table, and thoughts in their places.

use super::together;
use crate::{Device, Result, Tensor, Tokens, Weight, cpu, error::check, gpu};

/// One row's input.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A token's embedding.
    Token(u32),
    /// The embedding of one of the tokens that an operation chose; all of a call are of the same ones.
    Chosen(&'a Tokens, usize),
    /// A row of a tensor in its place: a continuous thought.
    Row(&'a Tensor, usize),
}

/// Learned positions: a table `[h, context]` and the position of each row.
#[derive(Debug, Clone, Copy)]
pub struct Positions<'a> {
    /// Stored as the token table is.
    pub table: &'a Weight,
    /// By row.
    pub of_rows: &'a [u32],
}

/// `out[i]` = `scale · E[id]` or the row given, plus the row's position: the tables are stored as the head `[h, vocabulary]`, so
/// that a tied one exists once.
///
/// # Errors
/// An id outside the vocabulary, or chosen from a larger one; a row of another width, or past the end; a position outside its table; a table without channels;
/// operands on different devices.
pub fn embedding(
    table: &Weight,
    inputs: &[Input<'_>],
    scale: f32,
    positions: Option<Positions<'_>>,
    out: &mut Tensor,
) -> Result<()> {
    check("embedding", table.k() > 0, || "a table without channels".into())?;
    let mut chosen = None;
    for input in inputs {
        match *input {
            Input::Token(id) => check("embedding", (id as usize) < table.n(), || {
                format!("token {id} of a vocabulary of {}", table.n())
            })?,
            Input::Chosen(tokens, row) => {
                let [count, of] = [tokens.len(), tokens.vocabulary()];
                let fits = row < count && count <= 1 << 31 && of <= table.n();
                check("embedding", fits, || {
                    format!("token {row} of {count} from a vocabulary of {of}, for one of {}", table.n())
                })?;
                together("embedding", table.device(), &[tokens.device()])?;
                check("embedding", std::ptr::eq(*chosen.get_or_insert(tokens), tokens), || {
                    "tokens that were chosen by several operations".into()
                })?;
            }
            Input::Row(rows, row) => {
                check("embedding", rows.width() == table.k() && row < rows.rows(), || {
                    let [of, width] = [rows.rows(), rows.width()];
                    format!("row {row} of [{of}, {width}] for a width of {}", table.k())
                })?;
                together("embedding", table.device(), &[rows.device()])?;
            }
        }
    }
    together("embedding", table.device(), &[out.device()])?;
    if let Some(Positions { table: learned, of_rows }) = positions {
        let fits = learned.k() == table.k() && of_rows.len() == inputs.len();
        check("embedding", fits, || {
            let of = [of_rows.len(), learned.k(), inputs.len(), table.k()];
            format!("{} positions of {} channels for {} rows of {}", of[0], of[1], of[2], of[3])
        })?;
        together("embedding", table.device(), &[learned.device()])?;
        for &position in of_rows {
            check("embedding", (position as usize) < learned.n(), || {
                format!("position {position} of a context of {}", learned.n())
            })?;
        }
    }
    out.reshape(inputs.len(), table.k())?;
    match table.device() {
        Device::Cpu => {
            cpu::embedding::embedding(table, inputs, scale, positions, out.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::embedding::embedding(gpu, table, inputs, scale, positions, out),
    }
}

/// `dtable[ids[i]]` += `scale · dy[i]` for dy `[rows, h]` and dtable `[vocabulary, h]`: the gradient of a table of tokens or of
/// positions, as checkpoints store it. Rows of one id are added in rising order.
///
/// # Errors
/// An id outside the table; another number of rows, or another width; no channels; operands on different devices.
pub fn embedding_backward(ids: &[u32], dy: &Tensor, scale: f32, dtable: &mut Tensor) -> Result<()> {
    const NAME: &str = "embedding_backward";
    let fits = (ids.len(), dy.width()) == (dy.rows(), dtable.width()) && dy.width() > 0;
    check(NAME, fits, || {
        let of = [dy.rows(), dy.width(), dtable.width()];
        format!("{} ids for [{}, {}] and rows of {}", ids.len(), of[0], of[1], of[2])
    })?;
    for &id in ids {
        check(NAME, (id as usize) < dtable.rows(), || format!("row {id} of a table of {}", dtable.rows()))?;
    }
    together(NAME, dy.device(), &[dtable.device()])?;
    match dy.device() {
        Device::Cpu => {
            cpu::embedding::embedding_backward(ids, dy.data(), dy.width(), scale, dtable.data_mut());
            Ok(())
        }
        Device::Gpu(gpu) => gpu::embedding_backward::embedding_backward(gpu, ids, dy, scale, dtable),
    }
}
