//! Rotary positions of the queries and keys of Llama 3.2 1B and of Huginn.

use std::hint::black_box;

use fathom::{DType, ops::rope::rope};

use crate::harness::{
    network::{HUGINN, LLAMA, Network},
    suite::{Suite, Work},
};

pub(crate) fn bench(suite: &mut Suite) {
    suite.group("rope", DType::F32, |place, group| {
        for &Network { heads, form, .. } in [&LLAMA, &HUGINN] {
            let (turned, dim) = (heads.query + heads.kv, heads.dim);
            let Some(layout) = form.rotation() else { continue };
            for rows in [1, 64, 512] {
                let work = Work { dtype: DType::F32, flop: 0, bytes: 4 * rows * (2 * turned * dim + dim) };
                group.case(format!("[{rows}, {turned} · {dim}], {layout:?}"), work, || {
                    let turns = place.turns(rows, 70, dim);
                    let mut x = place.tensor(rows, turned * dim);
                    move || rope(black_box(&mut x), turned, &turns, layout).expect("shapes fit")
                });
            }
        }
    });
}
