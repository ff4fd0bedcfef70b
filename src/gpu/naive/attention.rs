//! Attention of a prefill, a decode step over a shared prefix, and both in one call.

use bytemuck::cast_slice;
use fathom_testkit::{
    inputs::Inputs,
    reference::{self, Shape, rounded_to_bf16},
};

use super::{DTYPES, Grid, Matrix, assert_near_naive, gpus, launch};
use crate::{
    DType, Device, Tensor,
    gpu::{
        Buffer, Gpu, Kernel,
        params::{AttentionMember, AttentionParams, KvSpan},
    },
    kv::{Layout, Sequence},
    ops::attention::{Heads, Query, attention},
};

/// As in `tests/ops`: scale, exponential, the weight's product, the division by the total, and an error of a score.
const ROUNDINGS: u32 = 16;

/// Heads of each width that there is a kernel for and one between them, multi-head and grouped; positions of the prompt
/// and of each fork's own, and rows of the prefill, from a tile and a warp to several.
const CASES: [([usize; 3], usize, &[usize], usize); 6] = [
    ([2, 2, 16], 150, &[70, 0, 5], 70),
    ([4, 2, 32], 65, &[3, 20], 9),
    ([3, 1, 24], 20, &[0], 20),
    ([1, 1, 64], 70, &[17], 3),
    ([2, 2, 96], 33, &[1, 2], 5),
    ([4, 1, 128], 40, &[18, 3], 4),
];

/// Keys and values of consecutive positions.
type Stored = Vec<[Vec<f32>; 2]>;

fn grow(sequence: &mut Sequence, inputs: &mut Inputs, count: usize) -> Stored {
    let Layout { width, dtype, .. } = sequence.layout();
    let first = sequence.admit(count);
    let rows: Stored = (0..count).map(|_| [inputs.bell(width), inputs.bell(width)]).collect();
    sequence.write(0, first, rows.iter().map(|[key, value]| (&key[..], &value[..]))).unwrap();
    let stored = |row: Vec<f32>| if dtype == DType::Bf16 { rounded_to_bf16(&row) } else { row };
    rows.into_iter().map(|row| row.map(stored)).collect()
}

/// What the naive kernel makes of queries `q` in the type of the cache; each row's spans are a list of their own.
fn naive(gpu: &Gpu, q: &Matrix, heads: Heads, sequences: &[Sequence], queries: &[Query]) -> Vec<f32> {
    let (mut spans, mut members) = (Vec::<KvSpan>::new(), Vec::new());
    for (row, query) in queries.iter().enumerate() {
        let first = spans.len();
        let read = sequences[query.sequence].spans(&[0]);
        let seen = read.into_iter().map(|span| span.until(query.visible)).filter(|span| span.count() > 0);
        spans.extend(seen.map(|span| span.device(0, q.dtype)));
        let (row, first_span, spans) = (row as u32, first as u32, (spans.len() - first) as u32);
        members.push(AttentionMember { row, first_span, spans, padding: 0 });
    }
    let [spans, members] =
        [cast_slice(&spans), cast_slice(&members)].map(|bytes| Buffer::holding(gpu, bytes).unwrap());
    let width = heads.query * heads.dim;
    let out = Matrix::poison(gpu, DType::F32, queries.len(), width);
    let params = AttentionParams {
        q: q.rows(),
        out: out.rows(),
        spans: spans.address(),
        members: members.address(),
        query_heads: heads.query as u32,
        kv_heads: heads.kv as u32,
        head_dim: heads.dim as u32,
        slot: 0,
        scale: (heads.dim as f32).sqrt().recip(),
        ..Default::default()
    };
    let name = ["naive_attention_f32", "naive_attention_bf16"][q.dtype as usize];
    launch(gpu, Kernel { file: "naive/attention", name }, &params, Grid::of_elements(queries.len(), width));
    out.read()
}

/// In float64, and plainly in the precision of the cache, of what the kernels read.
fn references(
    q: &[f32],
    heads: Heads,
    dtype: DType,
    stored: &[Stored],
    queries: &[Query],
) -> (Vec<f64>, Vec<f32>) {
    let shape = Shape { query: heads.query, kv: heads.kv, dim: heads.dim };
    let (mut exact, mut plain) = (Vec::new(), Vec::new());
    for (q, query) in q.chunks(heads.query * heads.dim).zip(queries) {
        let seen = stored[query.sequence][..query.visible].iter();
        let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) = seen.map(|[k, v]| (&k[..], &v[..])).unzip();
        exact.extend(reference::attention::<f64>(q, &keys, &values, shape));
        plain.extend(match dtype {
            DType::F32 => reference::attention::<f32>(q, &keys, &values, shape),
            DType::Bf16 => reference::attention_bf16(q, &keys, &values, shape),
        });
    }
    (exact, plain)
}

#[test]
fn rows_err_no_more_than_twice_as_much() {
    let mut inputs = Inputs::new(1);
    for gpu in gpus() {
        let device = Device::Gpu(gpu.clone());
        for ([query, kv, dim], prompt, suffixes, prefill) in CASES {
            let heads = Heads { query, kv, dim };
            let width = query * dim;
            for dtype in DTYPES {
                let mut root = Sequence::new(&device, Layout { width: kv * dim, dtype, slots: 1 });
                let shared = grow(&mut root, &mut inputs, prompt);
                let mut sequences = root.fork(suffixes.len());
                let forks = sequences.iter_mut().zip(suffixes);
                let stored: Vec<Stored> = forks
                    .map(|(fork, &own)| [shared.clone(), grow(fork, &mut inputs, own)].concat())
                    .collect();
                let last = stored[0].len();
                let decode: Vec<Query> = stored
                    .iter()
                    .enumerate()
                    .map(|(sequence, rows)| Query { sequence, visible: rows.len() })
                    .collect();
                let run: Vec<Query> =
                    (last - prefill..last).map(|at| Query { sequence: 0, visible: at + 1 }).collect();
                for queries in [run.clone(), decode.clone(), [decode, run].concat()] {
                    let q = inputs.bell(queries.len() * width);
                    let operand = Matrix::spoilt(&gpu, dtype, width, &q);
                    let read = operand.read();
                    let (exact, plain) = references(&read, heads, dtype, &stored, &queries);
                    let mut out = Tensor::empty(&device);
                    let q = Tensor::new(&device, queries.len(), width, q).unwrap();
                    attention(&q, heads, &sequences, &[0], &queries, &mut out).unwrap();
                    let naive = naive(&gpu, &operand, heads, &sequences, &queries);
                    let context = format!("{gpu:?} {dtype} {heads:?}, {} rows", queries.len());
                    assert_near_naive(&context, [&out.to_vec().unwrap(), &naive], &plain, &exact, ROUNDINGS);
                }
            }
        }
    }
}
