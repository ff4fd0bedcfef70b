//! A block of Huginn for the newest position of N trajectories over one prompt.

use std::{array, cell::LazyCell, hint::black_box};

use fathom::{
    kv::Run,
    ops::{
        qkv::Rotation,
        rope::Layout,
        sandwich::{Block, Scratch, Stack, sandwich},
    },
};

use crate::harness::{
    data::{block, trajectories},
    network::{HUGINN, Network},
    suite::{DTYPES, Suite, Work},
};

/// Positions of the prompt, and of what follows it.
const LENGTHS: [usize; 2] = [100, 20];

pub(crate) fn bench(suite: &mut Suite) {
    let Network { width, heads, .. } = HUGINN;
    let [prompt, suffix] = LENGTHS;
    let cached = heads.kv * heads.dim;
    for dtype in DTYPES {
        suite.group("sandwich", dtype, |place, group| {
            let blocks = LazyCell::new(|| array::from_fn::<_, 1, _>(|_| block(place, &HUGINN)));
            let blocks = &blocks;
            for rows in [1, 8, 64, 128, 256] {
                let stored = 2 * cached * (prompt + rows * suffix);
                let work = Work {
                    dtype,
                    flop: rows * (2 * HUGINN.layer() + 4 * (prompt + suffix) * width),
                    bytes: dtype.bytes() * (HUGINN.layer() + stored),
                };
                let name = format!("N = {rows}, prompt {prompt} shared, suffix {suffix}");
                group.case(name, work, || {
                    let blocks: &[Block] = &**blocks;
                    let mut sequences = trajectories(place, cached, 1, rows, LENGTHS, true);
                    let turns = place.turns(rows, prompt + suffix - 1, heads.dim);
                    let mut x = place.tensor(rows, width);
                    let mut scratch = Scratch::new(&place.device, dtype);
                    move || {
                        let mut runs: Vec<Run<'_>> = sequences
                            .iter_mut()
                            .map(|sequence| Run::revisit(sequence, 1).expect("a position"))
                            .collect();
                        let stack = Stack { blocks, heads, eps: 1e-6 };
                        let rotation = Rotation { angles: &turns, layout: Layout::Interleaved };
                        let x = black_box(&mut x);
                        sandwich(stack, x, Some(rotation), &mut runs, |_| &[0], &mut scratch)
                            .expect("shapes fit");
                    }
                });
            }
        });
    }
}
