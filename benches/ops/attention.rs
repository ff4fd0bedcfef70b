//! Attention of GPT-2 small: N trajectories over a prompt that they share or each have, and a prompt over itself.

use std::hint::black_box;

use fathom::{
    DType, Device, Tensor,
    kv::{Layout, Sequence},
    ops::attention::{Heads, Query, attention},
};

use crate::{
    data::{DTYPES, grow, tensor},
    suite::{Group, Suite, Work},
};

const HEADS: Heads = Heads { query: 12, kv: 12, dim: 64 };
const WIDTH: usize = 768;
const PROMPT: usize = 64;
const SUFFIX: usize = 6;

/// Layers, taken in turn as in a pass.
const LAYERS: usize = 12;

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group(&format!("attention {dtype}"), |group| {
            for rows in [8, 64] {
                let every = |sequence| Query { sequence, visible: PROMPT + SUFFIX };
                let queries: Vec<Query> = (0..rows).map(every).collect();
                let prefix = format!("N = {rows}, prompt {PROMPT}");
                let positions = PROMPT + rows * SUFFIX;
                case(group, format!("{prefix} shared, suffix {SUFFIX}"), dtype, positions, &queries, || {
                    let mut root = Sequence::new(&Device::Cpu, Layout { width: WIDTH, dtype, slots: 1 });
                    grow(&mut root, LAYERS, PROMPT);
                    let mut sequences = root.fork(rows);
                    sequences.iter_mut().for_each(|sequence| grow(sequence, LAYERS, SUFFIX));
                    sequences
                });
                let positions = rows * (PROMPT + SUFFIX);
                case(group, format!("{prefix} private, suffix {SUFFIX}"), dtype, positions, &queries, || {
                    let private = |_| {
                        let mut sequence =
                            Sequence::new(&Device::Cpu, Layout { width: WIDTH, dtype, slots: 1 });
                        grow(&mut sequence, LAYERS, PROMPT + SUFFIX);
                        sequence
                    };
                    (0..rows).map(private).collect()
                });
            }
            let every = |at| Query { sequence: 0, visible: at + 1 };
            let queries: Vec<Query> = (0..PROMPT).map(every).collect();
            case(group, format!("a prompt of {PROMPT}, causal"), dtype, PROMPT, &queries, || {
                let mut sequence = Sequence::new(&Device::Cpu, Layout { width: WIDTH, dtype, slots: 1 });
                grow(&mut sequence, LAYERS, PROMPT);
                vec![sequence]
            });
        });
    }
}

/// `positions` counts those whose keys and values are stored, each once.
fn case(
    group: &mut Group<'_>,
    name: String,
    dtype: DType,
    positions: usize,
    queries: &[Query],
    sequences: impl FnOnce() -> Vec<Sequence>,
) {
    let visible: usize = queries.iter().map(|query| query.visible).sum();
    let bytes = 2 * positions * WIDTH * dtype.bytes() + 4 * 2 * queries.len() * WIDTH;
    // Scores and sums are f32 whatever keys and values are stored in.
    let work = Work { dtype: DType::F32, flop: 4 * visible * WIDTH, bytes };
    group.case(name, work, || {
        let sequences = sequences();
        let qkv = tensor(queries.len(), HEADS.fused_width());
        let mut out = Tensor::empty(&Device::Cpu);
        let mut layer = 0;
        move || {
            layer = (layer + 1) % LAYERS;
            attention(black_box(&qkv), HEADS, &sequences, &[layer], queries, &mut out).expect("shapes fit");
        }
    });
}
