//! Attention of a decode step and of a prefill; in f32 it is a warp without barriers or waits.

use fathom::{
    DType, Tensor,
    kv::{Layout, Sequence},
    ops::attention::{Heads, Query, attention},
};
use fathom_testkit::inputs::Inputs;

use crate::{Card, survey};

const HEADS: Heads = Heads { query: 4, kv: 2, dim: 16 };
const WIDTH: usize = HEADS.kv * HEADS.dim;
/// Positions of a prompt: two or three tiles for each warp of a decode step, the last not full.
const PROMPT: usize = 310;

/// `rows` of two forks of a prompt, whose own positions are several warps' work and one's.
fn surveyed(excepted: &[&str], rows: &[(usize, usize)]) {
    survey(Card::Ampere, excepted, |device| {
        let mut inputs = Inputs::new(1);
        let mut append = |sequence: &mut Sequence, count: usize| {
            let first = sequence.admit(count);
            let (keys, values) = (inputs.bell(count * WIDTH), inputs.bell(count * WIDTH));
            sequence.write(0, first, keys.chunks(WIDTH).zip(values.chunks(WIDTH)))
        };
        let mut prompt = Sequence::new(device, Layout { width: WIDTH, dtype: DType::Bf16, slots: 1 });
        append(&mut prompt, PROMPT)?;
        let mut forks = prompt.fork(2);
        append(&mut forks[0], 150)?;
        append(&mut forks[1], 20)?;
        let queries: Vec<Query> =
            rows.iter().map(|&(sequence, visible)| Query { sequence, visible }).collect();
        let width = HEADS.query * HEADS.dim;
        let q = Tensor::new(device, rows.len(), width, inputs.bell(rows.len() * width))?;
        let mut out = Tensor::empty(device);
        attention(&q, HEADS, &forks, &[0], &queries, &mut out)?;
        out.to_vec()
    });
}

/// A warp's copies are waited for by each lane for itself; that lanes see those of others is `__syncwarp`'s work, which
/// docs/emulator.md explains.
#[test]
fn a_decode_step() {
    surveyed(&["__syncwarp at attention.cu"], &[(0, PROMPT + 150), (1, PROMPT + 20), (0, PROMPT)]);
}

/// Two tiles of rows, over four to five of positions.
#[test]
fn a_prefill() {
    let rows: Vec<_> = (PROMPT - 80..PROMPT).map(|at| (1, at + 1)).collect();
    surveyed(&[], &rows);
}
