//! Rows of an embedding that is stored as the head `[h, vocabulary]`.

use rayon::prelude::*;

use crate::Weight;

/// out[i] = scale · column ids[i] of the head.
pub(crate) fn embedding(head: &Weight, ids: &[u32], scale: f32, out: &mut [f32]) {
    let Some((&id, others)) = ids.split_first() else { return };
    let (first, out) = out.split_at_mut(head.k());
    gather(head, id, scale, first);
    // Rows that step together stand at one position.
    out.par_chunks_mut(head.k()).zip(others).with_min_len(4).for_each(|(row, &other)| match other == id {
        true => row.copy_from_slice(first),
        false => gather(head, other, scale, row),
    });
}

fn gather(head: &Weight, id: u32, scale: f32, row: &mut [f32]) {
    for (channel, x) in row.iter_mut().enumerate() {
        *x = scale * head.get(channel, id as usize);
    }
}
