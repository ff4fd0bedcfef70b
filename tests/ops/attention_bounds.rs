//! Attention over contexts at and beyond what stands on its stack, over the widest heads, and on small stacks.

use fathom::{
    DType, Device,
    ops::{
        attention::{Heads, MAX_DIM, Query, attention},
        linear::{Epilogue, linear},
    },
};
use fathom_testkit::{compare::assert_same_bits, inputs::Inputs};

use crate::{
    attention::{assert_near_plain, forks, fused, heads},
    common::{DTYPES, chosen, on_any_pool, tensor, vector, weight, written},
};

/// Rows of which one, two, three and more neighbours see as much as the longest do, and others far less.
fn queries(lengths: &[usize]) -> Vec<Query> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let all = lengths.iter().enumerate().map(|(sequence, &visible)| Query { sequence, visible });
    // As a prompt's end is gone through.
    let prefill =
        (0..4).filter(|back| longest > *back).map(|back| Query { sequence: 0, visible: longest - back });
    let cut = [1, longest.div_ceil(2), longest, longest.div_ceil(3)];
    all.chain(prefill).chain(cut.map(|visible| Query { sequence: 0, visible })).collect()
}

/// Rows over forks of a prompt of `context` positions at most are near float64 and have the same bits in tiles of any
/// height, beside any other rows and on any pool.
fn check(device: &Device, inputs: &mut Inputs, heads: Heads, dtype: DType, context: usize) {
    let own = context.min(4) - 1;
    let suffixes = [own, own, own / 2, own, 0];
    let forks = forks(device, inputs, dtype, heads.kv * heads.dim, context - own, &suffixes);
    let lengths: Vec<usize> = forks.iter().map(|fork| fork.sequence.len()).collect();
    assert_eq!(lengths[0], context);
    let queries = queries(&lengths);
    let data = fused(inputs, queries.len(), heads);
    let qkv = tensor(device, queries.len(), heads.fused_width(), &data);
    let run = |rows: &[usize]| {
        let queries: Vec<Query> = rows.iter().map(|&row| queries[row]).collect();
        written(device, |out| attention(&chosen(&qkv, rows), heads, &forks, &[0], &queries, out))
            .into_data()
            .unwrap()
    };
    let name = format!("{device} {dtype} {heads:?}, {context} positions");
    let order: Vec<usize> = (0..queries.len()).collect();
    let together = on_any_pool(&name, || run(&order));
    assert_near_plain(&name, &together, &data, heads, &forks, &queries);

    let width = heads.query * heads.dim;
    for order in [order.clone(), inputs.order(queries.len())] {
        for group in 1..=5 {
            for rows in order.chunks(group) {
                let expected: Vec<f32> =
                    rows.iter().flat_map(|row| &together[row * width..(row + 1) * width]).copied().collect();
                assert_same_bits(&format!("{name}, rows {rows:?}"), &run(rows), &expected);
            }
        }
    }
}

/// A tile of four rows has room for 1024 positions of one head on the stack, one of fewer rows for as many of several
/// heads: just below, at, just past and far past that, with heads that do not divide into groups of equal size.
#[test]
fn contexts_beyond_the_stack() {
    let mut inputs = Inputs::new(11);
    for context in [1023, 1024, 1025, 2100] {
        for of in [(5, 1, 16), (6, 2, 32), (3, 3, 33)] {
            for dtype in DTYPES {
                check(&Device::Cpu, &mut inputs, heads(of), dtype, context);
            }
        }
    }
}

/// Heads as wide as allowed, over fewer positions, as many and more than are widened at a time (16).
#[test]
fn the_widest_heads() {
    let mut inputs = Inputs::new(12);
    for context in [1, 15, 16, 17, 33, 70] {
        for of in [(1, 1, MAX_DIM), (2, 1, MAX_DIM), (2, 2, MAX_DIM)] {
            for dtype in DTYPES {
                check(&Device::Cpu, &mut inputs, heads(of), dtype, context);
            }
        }
    }
}

/// Threads of less than a quarter of the usual stack hold what tasks work on, however many rows there are and however
/// deep they are divided. From a quarter on, the C library may hand out a stack of usual size that another test has left.
#[test]
fn thousands_of_rows_on_small_stacks() {
    const ROWS: usize = 4000;
    const STACK: usize = 448 << 10;
    let heads = Heads { query: 4, kv: 2, dim: 16 };
    let (k, n) = (heads.query * heads.dim, 289);
    let mut inputs = Inputs::new(13);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).stack_size(STACK).build();
    let pool = pool.expect("a pool of a few threads");
    for dtype in DTYPES {
        let forks = forks(&Device::Cpu, &mut inputs, dtype, heads.kv * heads.dim, 1021, &[9, 0, 40]);
        let queries: Vec<Query> = (0..ROWS)
            .map(|row| {
                let sequence = row * forks.len() / ROWS;
                let len = forks[sequence].sequence.len();
                // A few rows past the stack's scores, so that what is reused has grown.
                let visible = if row % 97 == 0 { len } else { 1 + inputs.below(60) };
                Query { sequence, visible }
            })
            .collect();
        let qkv = tensor(&Device::Cpu, ROWS, heads.fused_width(), &fused(&mut inputs, ROWS, heads));
        let (w, bias) = (weight(&Device::Cpu, dtype, k, n, &inputs.bell(k * n)), inputs.bell(n));
        let run = |first: usize, count: usize| {
            let rows: Vec<usize> = (first..first + count).collect();
            let queries = &queries[first..first + count];
            let mixed = written(&Device::Cpu, |out| {
                attention(&chosen(&qkv, &rows), heads, &forks, &[0], queries, out)
            });
            written(&Device::Cpu, |out| {
                linear(&mixed, &w, Some(&vector(&Device::Cpu, &bias)), Epilogue::GeluTanh, out)
            })
            .into_data()
            .unwrap()
        };
        let all = pool.install(|| run(0, ROWS));
        for first in [0, 1, 96, 97, 1333, ROWS - 5] {
            let context = format!("{dtype}, rows from {first} on");
            assert_same_bits(&context, &run(first, 5), &all[first * n..(first + 5) * n]);
        }
    }
}
