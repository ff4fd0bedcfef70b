//! Rows of an embedding that is stored as the head `[h, vocabulary]`, and thoughts among them.

use std::cell::Cell;

use rayon::prelude::*;

use super::{gemm::Shared, simd::widest};
use crate::{
    Weight,
    ops::embedding::{Input, Positions},
};

thread_local! {
    // Memory alone: the columns that most rows want, gathered once. Taken while they are in use, since a thread that waits
    // for others may go through another embedding meanwhile.
    static COLUMNS: Cell<[Vec<f32>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// out[i] = scale · column id of the head, or the row given, plus the position's column.
pub(crate) fn embedding(
    head: &Weight,
    inputs: &[Input<'_>],
    scale: f32,
    positions: Option<Positions<'_>>,
    out: &mut [f32],
) {
    let id = |input: &Input<'_>| match *input {
        Input::Token(id) => Some(id),
        Input::Chosen(tokens, row) => Some(tokens.host()[row]),
        Input::Row(..) => None,
    };
    // Rows that step together stand at one position, and are often fed the same token.
    let token = inputs.iter().find_map(id);
    let position = positions.and_then(|positions| positions.of_rows.first().copied());
    let [mut of_token, mut of_position] = COLUMNS.take();
    if let Some(id) = token {
        gather(head, id, &mut of_token);
    }
    if let (Some(Positions { table, .. }), Some(position)) = (positions, position) {
        gather(table, position, &mut of_position);
    }
    out.par_chunks_mut(head.k()).with_min_len(4).enumerate().for_each(|(row, x)| {
        match (inputs[row], id(&inputs[row])) {
            (Input::Row(rows, at), _) => x.copy_from_slice(rows.row(at)),
            (_, id) if id == token => x.iter_mut().zip(&of_token).for_each(|(x, e)| *x = scale * e),
            (_, Some(id)) => {
                x.iter_mut().enumerate().for_each(|(k, x)| *x = scale * head.get(k, id as usize))
            }
            (_, None) => {}
        }
        match positions.map(|Positions { table, of_rows }| (table, of_rows[row])) {
            Some((_, at)) if Some(at) == position => {
                x.iter_mut().zip(&of_position).for_each(|(x, e)| *x += e);
            }
            Some((table, at)) => {
                x.iter_mut().enumerate().for_each(|(k, x)| *x += table.get(k, at as usize));
            }
            None => {}
        }
    });
    COLUMNS.set([of_token, of_position]);
}

fn gather(table: &Weight, column: u32, out: &mut Vec<f32>) {
    out.clear();
    out.extend((0..table.k()).map(|channel| table.get(channel, column as usize)));
}

/// Ids a task at least.
const IDS: usize = 4;

/// table[ids[i]] += scale·dy[i], one fused multiply-add after the other for each id by rising i.
pub(crate) fn embedding_backward(ids: &[u32], dy: &[f32], width: usize, scale: f32, table: &mut [f32]) {
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&row| ids[row]);
    let table = Shared::new(table, width);
    let alike: Vec<&[usize]> = order.chunk_by(|&a, &b| ids[a] == ids[b]).collect();
    alike.par_iter().with_min_len(IDS).for_each(|rows| {
        // SAFETY: every id is one task's alone.
        let place = unsafe { table.piece(ids[rows[0]] as usize, 0, width) };
        rows.iter().for_each(|&row| add_scaled(scale, &dy[row * width..(row + 1) * width], place));
    });
}

widest! {
    fn add_scaled(scale: f32, x: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(x).for_each(|(out, &x)| *out = scale.mul_add(x, *out));
    }
}
