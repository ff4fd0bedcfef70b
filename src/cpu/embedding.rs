//! Rows of an embedding that is stored as the head `[h, vocabulary]`, and thoughts among them.

use std::cell::Cell;

use rayon::prelude::*;

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
