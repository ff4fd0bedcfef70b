//! Attention in groups: which rows are read together, in what order and by which schedule leaves no trace.

use fathom::{
    DType, Device, Emulated,
    kv::{Layout, Sequence},
    ops::attention::{Heads, Query, attention},
};
use fathom_emulator::Options;
use fathom_testkit::{compare::assert_same_bits, inputs::Inputs, shapes::HEADS};
use proptest::prelude::*;

use crate::{
    attention::{Plain, SLOTS, assert_near_plain, forks, fused, heads},
    common::{DTYPES, append, chosen, devices, on_any_pool, tensor, written},
};

/// Whether `after` continues a prefill that ends with `before`: on a GPU a single row is summed up in another order than a
/// row of a prefill, so that what comes together there has to be either on purpose.
fn joins(before: Query, after: Query) -> bool {
    before.sequence == after.sequence && before.visible + 1 == after.visible
}

/// Rows of several sequences with ragged visible lengths: the same bits alone, among others, in any order, on any pool.
#[test]
fn rows_are_independent() {
    const ROWS: usize = 41;
    for device in devices() {
        let mut inputs = Inputs::new(5);
        for of in [(4, 4, 16), (6, 2, 32), (4, 1, 128)] {
            let heads = heads(of);
            for dtype in DTYPES {
                let forks = forks(&device, &mut inputs, dtype, heads.kv * heads.dim, 29, &[0, 1, 9, 40, 3]);
                let queries: Vec<Query> = (0..ROWS)
                    .map(|row| Query {
                        sequence: row % 5,
                        // Odd: none continues another.
                        visible: 1 + inputs.below(forks[row % 5].sequence.len()) / 2 * 2,
                    })
                    .collect();
                let data = fused(&mut inputs, ROWS, heads);
                let qkv = tensor(&device, ROWS, heads.fused_width(), &data);
                let run = |order: &[usize]| {
                    let rows: Vec<Query> = order.iter().map(|&row| queries[row]).collect();
                    written(&device, |out| attention(&chosen(&qkv, order), heads, &forks, &[0], &rows, out))
                };
                let identity: Vec<usize> = (0..ROWS).collect();
                let context = format!("{device} {dtype} {heads:?}");
                let width = heads.query * heads.dim;
                let work = || run(&identity).into_data().unwrap();
                let all = if device == Device::Cpu { on_any_pool(&context, work) } else { work() };
                assert_near_plain(&context, &all, &data, heads, &forks, &queries);
                let order = inputs.order(ROWS);
                for together in [1, 5, 16, 17, 40] {
                    for rows in order.chunks(together) {
                        let got = run(rows);
                        for (place, &row) in rows.iter().enumerate() {
                            let expected = &all[row * width..(row + 1) * width];
                            let context = format!("{context}, row {row} at {place} of {}", rows.len());
                            assert_same_bits(&context, got.row(place), expected);
                        }
                    }
                }
            }
        }
    }
}

/// A trajectory's row has the same bits whether its prompt has 1, 7 or 33 forks, each a sequence of its own content.
#[test]
fn the_number_of_forks_leaves_no_trace() {
    for device in devices() {
        for (of, prompt) in [((4, 2, 32), 130), ((3, 3, 16), 65), ((12, 1, 64), 7)] {
            let heads = heads(of);
            let width = heads.kv * heads.dim;
            for dtype in DTYPES {
                let run = |count: usize| {
                    let root = Plain::new(&device, width, dtype).grow(&mut Inputs::new(20), prompt);
                    let forks = root.fork(count).into_iter().enumerate();
                    let forks: Vec<Plain> = forks
                        .map(|(fork, plain)| {
                            plain.grow(&mut Inputs::new(100 + fork as u64), [17, 1, 64, 3, 0][fork % 5])
                        })
                        .collect();
                    let qkv: Vec<f32> = (0..count as u64)
                        .flat_map(|fork| fused(&mut Inputs::new(200 + fork), 1, heads))
                        .collect();
                    let rows: Vec<Query> = (0..count)
                        .map(|sequence| Query { sequence, visible: forks[sequence].sequence.len() })
                        .collect();
                    let qkv = tensor(&device, count, heads.fused_width(), &qkv);
                    written(&device, |out| attention(&qkv, heads, &forks, &[0], &rows, out))
                };
                let most = run(33);
                for count in [1, 7] {
                    let context = format!("{device} {dtype} {heads:?}, {count} forks");
                    let few = run(count);
                    assert_same_bits(&context, few.data(), &most.data()[..few.data().len()]);
                }
            }
        }
    }
}

/// A prompt's rows have the same bits whether they go through in one piece or in several.
#[test]
fn pieces_of_a_prefill_leave_no_trace() {
    let heads = Heads { query: 4, kv: 2, dim: 32 };
    let (prompt, width) = (130, heads.query * heads.dim);
    for device in devices() {
        for dtype in DTYPES {
            let mut inputs = Inputs::new(9);
            let sequence = [Plain::new(&device, 64, dtype).grow(&mut inputs, prompt)];
            let queries: Vec<Query> = (1..=prompt).map(|visible| Query { sequence: 0, visible }).collect();
            let qkv = tensor(&device, prompt, heads.fused_width(), &fused(&mut inputs, prompt, heads));
            let run = |first: usize, count: usize| {
                let (rows, queries) =
                    ((first..first + count).collect::<Vec<_>>(), &queries[first..first + count]);
                written(&device, |out| attention(&chosen(&qkv, &rows), heads, &sequence, &[0], queries, out))
            };
            let whole = run(0, prompt);
            for (first, count) in [(0, 2), (0, 64), (2, 65), (64, 66), (63, 2), (128, 2)] {
                let expected = &whole.data()[first * width..(first + count) * width];
                let context = format!("{device} {dtype}, {count} rows from {first} on");
                assert_same_bits(&context, run(first, count).data(), expected);
            }
        }
    }
}

/// On cards of either generation, under any order of threads and whenever copies arrive: a decode step and a prefill.
#[test]
fn schedules_leave_no_trace() {
    let heads = Heads { query: 4, kv: 2, dim: 16 };
    for dtype in DTYPES {
        let run = |emulated: Emulated| {
            let (device, mut inputs) = (emulated.device(), Inputs::new(10));
            let forks = forks(&device, &mut inputs, dtype, 32, 150, &[0, 1, 3, 17, 64]);
            let all = (0..forks.len()).map(|sequence| (sequence, forks[sequence].sequence.len()));
            let prefill = (60..150).map(|at| (0, at + 1));
            let queries: Vec<Query> =
                all.chain(prefill).map(|(sequence, visible)| Query { sequence, visible }).collect();
            let qkv = fused(&mut inputs, queries.len(), heads);
            let qkv = tensor(&device, queries.len(), heads.fused_width(), &qkv);
            written(&device, |out| attention(&qkv, heads, &forks, &[0], &queries, out))
        };
        let expected = run(Emulated::sm_90a(Options::default()));
        for options in Options::suite(2) {
            for emulated in [Emulated::sm_80(options.clone()), Emulated::sm_90a(options.clone())] {
                assert_same_bits(&format!("{dtype} {options:?}"), run(emulated).data(), expected.data());
            }
        }
    }
}

/// Sequences as they come in practice, in the order in which their rows are asked for.
fn scenes(
    device: &Device,
    inputs: &mut Inputs,
    dtype: DType,
    width: usize,
    gaps: bool,
) -> [(&'static str, Vec<Plain>); 4] {
    let mut grow = |sequence: Plain, count| match gaps {
        true => sequence.grow_with_gaps(inputs, count),
        false => sequence.grow(inputs, count),
    };
    let new = || Plain::new(device, width, dtype);
    let suffixes = [0, 1, 3, 3, 8, 20, 3];
    let prompt = grow(new(), 67).fork(suffixes.len());
    let shared = prompt.into_iter().zip(suffixes).map(|(fork, count)| grow(fork, count)).collect();
    let apart = [4, 1, 9, 33, 70].map(|count| grow(new(), count)).into();
    // Prompt, what a beam has thought, and what each of its children adds.
    let beams = grow(new(), 21).fork(2).into_iter().zip([6, 3]).flat_map(|(beam, thought)| {
        let children = grow(beam, thought).fork(4);
        children.into_iter().zip([2, 0, 1, 2]).map(|(child, own)| grow(child, own)).collect::<Vec<_>>()
    });
    let beams: Vec<Plain> = beams.collect();
    // Trajectories of two prompts: a tile of four rows holds both.
    let mixed = [11, 13].into_iter().flat_map(|prompt| {
        grow(new(), prompt).fork(3).into_iter().map(|fork| grow(fork, 2)).collect::<Vec<_>>()
    });
    let mixed = mixed.collect();
    [("shared", shared), ("apart", apart), ("beams", beams), ("mixed", mixed)]
}

/// Heads of few, odd and many channels: below a block of four, without whole blocks, and past whole registers.
const DIMS: [(usize, usize, usize); 6] =
    [(2, 1, 4), (3, 3, 6), (4, 2, 32), (2, 2, 64), (4, 1, 80), (2, 1, 33)];

/// Rows that share a prefix, a beam or nothing, of mixed lengths, with and without gaps, are near float64, and have the
/// same bits in whatever groups and order they come: which rows are read together leaves no trace.
#[test]
fn groupings_leave_no_trace() {
    for device in devices() {
        let mut inputs = Inputs::new(6);
        for heads in DIMS.map(heads) {
            for dtype in DTYPES {
                for gaps in [false, true] {
                    // Some of them where they take long.
                    let few = [(DType::F32, 33, true), (DType::Bf16, 32, true), (DType::Bf16, 80, false)];
                    if device != Device::Cpu && !few.contains(&(dtype, heads.dim, gaps)) {
                        continue;
                    }
                    for (scene, sequences) in scenes(&device, &mut inputs, dtype, heads.kv * heads.dim, gaps)
                    {
                        let context = format!("{device} {dtype} {heads:?} {scene}, gaps {gaps}");
                        groupings(&context, &device, heads, &sequences, &mut inputs);
                    }
                }
            }
        }
    }
}

fn groupings(context: &str, device: &Device, heads: Heads, sequences: &[Plain], inputs: &mut Inputs) {
    let (width, stride) = (heads.query * heads.dim, heads.fused_width());
    let on_host = *device == Device::Cpu;
    // A decode step of all, a prefill of each, and rows cut anywhere; a prefill stays together on a GPU.
    let len = |sequence: usize| sequences[sequence].sequence.len();
    let mut queries: Vec<Query> = Vec::new();
    let mut units: Vec<Vec<usize>> = Vec::new();
    let mut add = |unit: &[(usize, usize)]| {
        let unit = unit.iter().map(|&(sequence, visible)| Query { sequence, visible });
        if queries
            .last()
            .copied()
            .zip(unit.clone().next())
            .is_some_and(|(before, after)| joins(before, after))
        {
            return;
        }
        let first = queries.len();
        queries.extend(unit);
        let rows: Vec<usize> = (first..queries.len()).collect();
        units.extend(rows.chunks(if on_host { 1 } else { rows.len() }).map(<[usize]>::to_vec));
    };
    (0..sequences.len()).for_each(|sequence| add(&[(sequence, len(sequence))]));
    for sequence in 0..sequences.len() {
        let last = len(sequence).saturating_sub(5)..len(sequence);
        add(&last.map(|at| (sequence, at + 1)).collect::<Vec<_>>());
    }
    for _ in 0..9 {
        let sequence = inputs.below(sequences.len());
        add(&[(sequence, 1 + inputs.below(len(sequence)))]);
    }

    let data = fused(inputs, queries.len(), heads);
    let qkv = tensor(device, queries.len(), stride, &data);
    let run = |rows: &[usize]| {
        let queries: Vec<Query> = rows.iter().map(|&row| queries[row]).collect();
        written(device, |out| attention(&chosen(&qkv, rows), heads, sequences, &SLOTS, &queries, out))
    };
    let all: Vec<usize> = (0..queries.len()).collect();
    let work = || run(&all).into_data().unwrap();
    let together = if on_host { on_any_pool(context, work) } else { work() };
    assert_near_plain(context, &together, &data, heads, sequences, &queries);

    let order: Vec<usize> = (0..units.len()).collect();
    let reversed = order.iter().rev().copied().collect();
    let shuffled = inputs.order(order.len());
    let (orders, groups) = match on_host {
        true => (
            vec![order.clone(), reversed, shuffled, inputs.order(order.len())],
            &[1, 2, 3, 4, 5, 7, usize::MAX][..],
        ),
        // They take long; others go through single rows.
        false => (vec![shuffled], &[3][..]),
    };
    for order in &orders {
        for &group in groups {
            for units in
                order.chunks(group.min(order.len())).map(|of| of.iter().map(|&unit| &units[unit][..]))
            {
                let joined = units.clone().zip(units.clone().skip(1));
                let mut joined =
                    joined.map(|(one, other)| joins(queries[one[one.len() - 1]], queries[other[0]]));
                if !on_host && joined.any(|joined| joined) {
                    continue;
                }
                let rows = units.collect::<Vec<_>>().concat();
                let expected: Vec<f32> =
                    rows.iter().flat_map(|row| &together[row * width..(row + 1) * width]).copied().collect();
                assert_same_bits(&format!("{context}, rows {rows:?}"), run(&rows).data(), &expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Forked anywhere, any number of times, a sequence gives the bits of one that was never cut: on the CPU. On a GPU
    /// the order of its sums follows from where it was forked, which is the same whoever else is there.
    #[test]
    fn cuts_leave_no_trace(
        seed in any::<u64>(),
        positions in 1usize..120,
        cuts in prop::collection::btree_set(0usize..120, 0..6),
        of in prop::sample::select(&HEADS[..]),
        bf16 in any::<bool>(),
    ) {
        let heads = heads(of);
        let width = heads.kv * heads.dim;
        let dtype = if bf16 { DType::Bf16 } else { DType::F32 };
        let mut inputs = Inputs::new(seed);
        let (keys, values) = (inputs.bell(positions * width), inputs.bell(positions * width));
        let mut whole = Sequence::new(&Device::Cpu, Layout { width, dtype, slots: 1 });
        append(&mut whole, 0, width, &keys, &values);
        let mut cut = Sequence::new(&Device::Cpu, Layout { width, dtype, slots: 1 });
        let mut from = 0;
        for end in cuts.into_iter().map(|at| at.min(positions)).chain([positions]) {
            append(&mut cut, 0, width, &keys[from * width..end * width], &values[from * width..end * width]);
            from = end;
            cut = cut.fork(2).remove(1);
        }
        let queries: Vec<Query> =
            [positions, 1, positions.div_ceil(2)].map(|visible| Query { sequence: 0, visible }).into();
        let qkv = tensor(&Device::Cpu, 3, heads.fused_width(), &fused(&mut inputs, 3, heads));
        let run = |sequence| written(&Device::Cpu, |out| attention(&qkv, heads, &[sequence], &[0], &queries, out));
        let (expected, got) = (run(&whole), run(&cut));
        assert_same_bits("cut", got.data(), expected.data());
    }
}
