//! Queries, keys and values in one product, against plain versions.

use fathom::{
    DType, Device, Result, Tensor,
    kv::{Layout, Run, Sequence},
    ops::{
        attention::{Heads, Query, attention},
        qkv::{Input, Projection, Rotation, qkv},
        rope,
    },
};
use fathom_testkit::{inputs::Inputs, reference};

use crate::common::{assert_rows_are_independent, everywhere, tensor, vector, weight};

fn heads([query, kv, dim]: [usize; 3]) -> Heads {
    Heads { query, kv, dim }
}

/// What a projection writes: the queries of all rows, and the values of each as attention to it alone gives them back.
fn projected(
    device: &Device,
    dtype: DType,
    input: Input<'_>,
    projection: Projection<'_>,
    rotation: Option<Rotation<'_>>,
    rows: usize,
) -> Result<[Vec<f32>; 2]> {
    const SLOT: usize = 2;
    let heads = projection.heads;
    let layout = Layout { width: heads.kv * heads.dim, dtype, slots: 1 };
    let mut sequences: Vec<Sequence> = (0..rows).map(|_| Sequence::new(device, layout)).collect();
    let mut runs: Vec<Run<'_>> = sequences.iter_mut().map(|sequence| Run::admit(sequence, 1)).collect();
    let (mut q, mut mixed) = (Tensor::empty(device), Tensor::empty(device));
    qkv(input, projection, rotation, &mut runs, &[SLOT], &mut q)?;
    let queries: Vec<Query> = (0..rows).map(|sequence| Query { sequence, visible: 1 }).collect();
    attention(&q, heads, &runs, &[SLOT], &queries, &mut mixed)?;
    let width = q.width();
    let own = |row: &[f32]| row[..heads.query * heads.dim].to_vec();
    Ok([q.to_vec()?.chunks(width).flat_map(own).collect(), mixed.to_vec()?])
}

/// Turns by multiples of a quarter keep integers: cosines and sines of 0 and ±1.
fn quarter_turns(inputs: &mut Inputs, rows: usize, dim: usize) -> Vec<f32> {
    let mut angles = vec![0.0; rows * dim];
    for angles in angles.chunks_mut(dim.max(1)) {
        for pair in 0..dim / 2 {
            let (cos, sin) = [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][inputs.below(4)];
            (angles[pair], angles[dim / 2 + pair]) = (cos, sin);
        }
    }
    angles
}

#[test]
fn exact_on_integers() {
    let layouts = [None, Some(rope::Layout::Interleaved), Some(rope::Layout::HalfSplit)];
    let mut inputs = Inputs::new(1);
    for form in [[1, 1, 16], [4, 2, 16], [2, 2, 32], [3, 1, 64], [1, 1, 96], [2, 1, 128]] {
        let (Heads { query, kv, dim }, k) = (heads(form), 37);
        let n = heads(form).fused_width();
        for rows in [1, 5, 20, 70] {
            let (x, w) = (inputs.integers(rows * k, 1), inputs.integers(k * n, 1));
            let (bias, turns) = (inputs.integers(n, 3), quarter_turns(&mut inputs, rows, dim));
            let plain: Vec<f32> = reference::linear(&x, &w, Some(&bias), k, n);
            // Each value is given back by the query heads of its group.
            let group = query / kv;
            let value = |row: &[f32], head: usize| {
                let first = (query + kv + head / group) * dim;
                row[first..first + dim].to_vec()
            };
            let values: Vec<f32> =
                plain.chunks(n).flat_map(|row| (0..query).flat_map(|head| value(row, head))).collect();
            for layout in layouts {
                let turned = |(row, turns): (&[f32], &[f32])| -> Vec<f32> {
                    let head = |head: &[f32]| match layout {
                        None => head.to_vec(),
                        Some(layout) => reference::rope::<f32>(head, turns, |i| match layout {
                            rope::Layout::Interleaved => (2 * i, 2 * i + 1),
                            rope::Layout::HalfSplit => (i, i + dim / 2),
                        }),
                    };
                    row[..query * dim].chunks(dim).flat_map(head).collect()
                };
                let queries: Vec<f32> = plain.chunks(n).zip(turns.chunks(dim)).flat_map(turned).collect();
                for (device, dtype) in everywhere() {
                    let (x, w) = (tensor(&device, rows, k, &x), weight(&device, dtype, k, n, &w));
                    let (bias, angles) = (vector(&device, &bias), tensor(&device, rows, dim, &turns));
                    let projection = Projection { weight: &w, bias: Some(&bias), heads: heads(form) };
                    let rotation = layout.map(|layout| Rotation { angles: &angles, layout });
                    let got = projected(&device, dtype, Input::Plain(&x), projection, rotation, rows);
                    let context = format!("{device} {dtype} {form:?} {layout:?}, {rows} rows");
                    let [q, mixed] = got.unwrap();
                    assert_eq!(q, queries, "{context}");
                    assert_eq!(mixed, values, "{context}: values");
                }
            }
        }
    }
}

/// Alone, among few and among many, with and without the norm on the way in.
#[test]
fn rows_are_independent() {
    let form = heads([2, 1, 16]);
    let (rows, k, n) = (70, 133, form.fused_width());
    let mut inputs = Inputs::new(2);
    let (x, w) = (inputs.bell(rows * k), inputs.bell(k * n));
    let (bias, norm) = (inputs.bell(n), inputs.bell(k));
    for (device, dtype) in everywhere() {
        let w = weight(&device, dtype, k, n, &w);
        let (bias, norm) = (vector(&device, &bias), vector(&device, &norm));
        for normed in [false, true] {
            let context = format!("{device} {dtype}, norm: {normed}");
            assert_rows_are_independent(&context, &device, &x, k, |x| {
                let projection = Projection { weight: &w, bias: Some(&bias), heads: form };
                let mut aside = Tensor::empty(&device);
                let input = match normed {
                    true => Input::RmsNorm { x: &x, weight: &norm, eps: 1e-5, aside: &mut aside },
                    false => Input::Plain(&x),
                };
                let [q, values] = projected(&device, dtype, input, projection, None, x.rows()).unwrap();
                let width = form.query * form.dim;
                q.chunks(width).zip(values.chunks(width)).flat_map(|(q, v)| [q, v].concat()).collect()
            });
        }
    }
}
