//! Causal attention over shared and private segments.

use fathom::{
    DType, Device,
    kv::{Layout, Sequence},
    ops::attention::{Heads, Query, attention},
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    poison::poisoned,
    reference::{self, Shape, rounded_to_bf16},
    shapes::HEADS,
};
use proptest::prelude::*;

use crate::common::{DTYPES, append, chosen, on_any_pool, tensor, written};

/// After its sums a result takes the score's scale, an exponential within an ulp, the weight's product and the division
/// by the total; an error δ of a score moves a weight by δ, and scores here stay below 8 in magnitude.
const ROUNDINGS: u32 = 16;

/// What attention reads of a position: the first of these slots that it has.
const SLOTS: [usize; 2] = [2, 0];

/// A position, its keys and its values.
type Row = (usize, Vec<f32>, Vec<f32>);

/// What is readable of one sequence as a plain list, beside the sequence itself.
pub(crate) struct Plain {
    pub(crate) sequence: Sequence,
    rows: Vec<Row>,
}

impl AsRef<Sequence> for Plain {
    fn as_ref(&self) -> &Sequence {
        &self.sequence
    }
}

impl Plain {
    fn new(width: usize, dtype: DType) -> Self {
        Self { sequence: Sequence::new(&Device::Cpu, Layout { width, dtype, slots: 1 }), rows: Vec::new() }
    }

    fn grow(mut self, inputs: &mut Inputs, count: usize) -> Self {
        let width = self.sequence.layout().width;
        let first = self.sequence.admit(count);
        for position in first..first + count {
            self.write(position, 0, inputs.bell(width), inputs.bell(width));
        }
        self
    }

    /// As [`Plain::grow`], but of five positions the second has both slots, the fourth the preferred one alone, and the
    /// last one only a slot that is not read.
    fn grow_with_gaps(mut self, inputs: &mut Inputs, count: usize) -> Self {
        let width = self.sequence.layout().width;
        let first = self.sequence.admit(count);
        for position in first..first + count {
            let slots: &[usize] = match position % 5 {
                1 => &[0, 2],
                3 => &[2],
                4 => &[1],
                _ => &[0],
            };
            for &slot in slots {
                self.write(position, slot, inputs.bell(width), inputs.bell(width));
            }
        }
        self
    }

    /// Slots of a position in rising order.
    fn write(&mut self, position: usize, slot: usize, key: Vec<f32>, value: Vec<f32>) {
        self.sequence.write(slot, position, [(&key[..], &value[..])]).expect("a position just admitted");
        self.rows.retain(|(other, ..)| *other != position || !SLOTS.contains(&slot));
        if SLOTS.contains(&slot) {
            self.rows.push((position, key, value));
        }
    }

    fn fork(self, count: usize) -> Vec<Self> {
        let forks = self.sequence.fork(count).into_iter();
        forks.map(|sequence| Self { sequence, rows: self.rows.clone() }).collect()
    }
}

/// Forks of a prompt of `prompt` positions, each with its own suffix; a suffix of 0 is empty.
pub(crate) fn forks(
    inputs: &mut Inputs,
    dtype: DType,
    width: usize,
    prompt: usize,
    suffixes: &[usize],
) -> Vec<Plain> {
    let forks = Plain::new(width, dtype).grow(inputs, prompt).fork(suffixes.len()).into_iter();
    forks.zip(suffixes).map(|(fork, &suffix)| fork.grow(inputs, suffix)).collect()
}

/// Query rows with poison where keys and values of a fused row lie: attention reads them from the sequences.
pub(crate) fn fused(inputs: &mut Inputs, rows: usize, heads: Heads) -> Vec<f32> {
    let own = heads.query * heads.dim;
    (0..rows).flat_map(|_| [inputs.bell(own), poisoned(heads.fused_width() - own)].concat()).collect()
}

pub(crate) fn heads((query, kv, dim): (usize, usize, usize)) -> Heads {
    Heads { query, kv, dim }
}

/// Each row of `queries` over a plain list of its visible positions.
fn plain<R>(
    qkv: &[f32],
    heads: Heads,
    sequences: &[Vec<Row>],
    queries: &[Query],
    run: impl Fn(&[f32], &[&[f32]], &[&[f32]], Shape) -> Vec<R>,
) -> Vec<R> {
    let shape = Shape { query: heads.query, kv: heads.kv, dim: heads.dim };
    let row = |(qkv, query): (&[f32], &Query)| {
        let seen = sequences[query.sequence].iter().filter(|(position, ..)| *position < query.visible);
        let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) = seen.map(|(_, k, v)| (&k[..], &v[..])).unzip();
        run(&qkv[..heads.query * heads.dim], &keys, &values, shape)
    };
    qkv.chunks(heads.fused_width()).zip(queries).flat_map(row).collect()
}

/// Stored in f32, `got` is held to a naive f32 version. Stored in bf16 it is held to the same once keys and values are
/// rounded, and to a naive bf16 version against the unrounded ones.
#[track_caller]
pub(crate) fn assert_near_plain(
    context: &str,
    got: &[f32],
    qkv: &[f32],
    heads: Heads,
    sequences: &[Plain],
    queries: &[Query],
) {
    let given: Vec<Vec<Row>> = sequences.iter().map(|sequence| sequence.rows.clone()).collect();
    let rounded = |(at, k, v): &Row| (*at, rounded_to_bf16(k), rounded_to_bf16(v));
    let dtype = sequences[0].sequence.layout().dtype;
    let stored = match dtype {
        DType::F32 => given.clone(),
        DType::Bf16 => given.iter().map(|rows| rows.iter().map(rounded).collect()).collect(),
    };
    let exact = plain(qkv, heads, &stored, queries, reference::attention::<f64>);
    let naive = plain(qkv, heads, &stored, queries, reference::attention::<f32>);
    assert_near(context, got, &naive, &exact, ROUNDINGS);
    if dtype == DType::Bf16 {
        let exact = plain(qkv, heads, &given, queries, reference::attention::<f64>);
        let naive = plain(qkv, heads, &given, queries, reference::attention_bf16);
        assert_near(&format!("naive bf16: {context}"), got, &naive, &exact, ROUNDINGS);
    }
}

/// A prompt with empty, short and long suffixes, one sequence and several, rows that see all, some and one of the
/// positions.
#[test]
fn near_float64() {
    let mut inputs = Inputs::new(1);
    for of in HEADS {
        let heads = heads(of);
        let width = heads.kv * heads.dim;
        for (prompt, suffixes) in [(1, &[0][..]), (5, &[0, 1, 3]), (33, &[0]), (70, &[2, 0, 17, 64])] {
            for dtype in DTYPES {
                let forks = forks(&mut inputs, dtype, width, prompt, suffixes);
                let queries: Vec<Query> = (0..forks.len())
                    .flat_map(|sequence| {
                        let all = forks[sequence].sequence.len();
                        [all, 1, prompt, prompt.div_ceil(2), all - all / 3]
                            .map(|visible| Query { sequence, visible })
                    })
                    .collect();
                let qkv = fused(&mut inputs, queries.len(), heads);
                let x = tensor(&Device::Cpu, queries.len(), heads.fused_width(), &qkv);
                let got = written(&Device::Cpu, |out| attention(&x, heads, &forks, &[0], &queries, out));
                assert_eq!((got.rows(), got.width()), (queries.len(), heads.query * heads.dim));
                let context = format!("{dtype} {heads:?} prompt {prompt} suffixes {suffixes:?}");
                assert_near_plain(&context, got.data(), &qkv, heads, &forks, &queries);
            }
        }
    }
}

/// Keys of ±1 spell a position in binary, and a query of ±512 the one it wants: all other weights underflow to 0, so
/// that the result is the integer value of the wanted position, exactly, in every head.
#[test]
fn exact_selection_of_positions() {
    let (heads, positions) = (Heads { query: 4, kv: 2, dim: 16 }, 97);
    let width = heads.kv * heads.dim;
    let code = |position: usize, size: f32| {
        (0..heads.dim).map(move |bit| if position >> (bit % 7) & 1 == 1 { size } else { -size })
    };
    let mut inputs = Inputs::new(2);
    let values = inputs.integers(positions * width, 200);
    let keys: Vec<f32> =
        (0..positions).flat_map(|at| (0..heads.kv).flat_map(move |_| code(at, 1.0))).collect();
    for dtype in DTYPES {
        let mut root = Sequence::new(&Device::Cpu, Layout { width, dtype, slots: 1 });
        append(&mut root, 0, width, &keys[..60 * width], &values[..60 * width]);
        let mut fork = root.fork(1).remove(0);
        append(&mut fork, 0, width, &keys[60 * width..], &values[60 * width..]);
        let wanted: Vec<[usize; 4]> =
            (0..positions).map(|at| [at, (at + 1) % positions, at / 2, 96 - at]).collect();
        let qkv: Vec<f32> = wanted
            .iter()
            .flat_map(|row| {
                row.iter().flat_map(|&at| code(at, 512.0)).chain(poisoned(2 * width)).collect::<Vec<_>>()
            })
            .collect();
        let queries = vec![Query { sequence: 0, visible: positions }; positions];
        let qkv = tensor(&Device::Cpu, positions, heads.fused_width(), &qkv);
        let got = written(&Device::Cpu, |out| attention(&qkv, heads, &[&fork], &[0], &queries, out));
        for (row, wanted) in wanted.iter().enumerate() {
            for (head, &at) in wanted.iter().enumerate() {
                let from = at * width + head / 2 * heads.dim;
                let got = &got.row(row)[head * heads.dim..(head + 1) * heads.dim];
                assert_eq!(
                    got,
                    &values[from..from + heads.dim],
                    "{dtype} row {row} head {head} position {at}"
                );
            }
        }
    }
}

/// One visible position is returned as it is, however large its score.
#[test]
fn a_single_position_is_its_value() {
    for dtype in DTYPES {
        let mut sequence = Sequence::new(&Device::Cpu, Layout { width: 16, dtype, slots: 1 });
        let values = Inputs::new(3).integers(32, 100);
        append(&mut sequence, 0, 16, &[3e4; 32], &values);
        let heads = Heads { query: 1, kv: 1, dim: 16 };
        let qkv = tensor(&Device::Cpu, 1, 48, &[[1e4; 16], [0.0; 16], [0.0; 16]].concat());
        let rows = [Query { sequence: 0, visible: 1 }];
        let got = written(&Device::Cpu, |out| attention(&qkv, heads, &[&sequence], &[0], &rows, out));
        assert_eq!(got.data(), &values[..16], "{dtype}");
    }
}

/// Positions that a row does not see hold NaN, as do other sequences and other slots: nothing of them may leak.
#[test]
fn what_is_not_visible_is_not_read() {
    let heads = Heads { query: 2, kv: 1, dim: 32 };
    let mut inputs = Inputs::new(4);
    for dtype in DTYPES {
        let forks = forks(&mut inputs, dtype, 32, 13, &[4, 4]);
        let mut clean: Vec<Sequence> = forks.into_iter().map(|fork| fork.sequence).collect();
        let qkv = tensor(&Device::Cpu, 1, heads.fused_width(), &fused(&mut inputs, 1, heads));
        let run = |sequences: &[Sequence], visible| {
            let rows = [Query { sequence: 1, visible }];
            written(&Device::Cpu, |out| attention(&qkv, heads, sequences, &[0], &rows, out))
                .into_data()
                .unwrap()
        };
        let expected: Vec<_> = [1, 12, 13, 15].map(|visible| run(&clean, visible)).into();
        let poison = poisoned(4 * 32);
        append(&mut clean[0], 0, 32, &poison, &poison);
        let last = clean[1].len() - 2;
        clean[1].write(0, last, poison.chunks(32).zip(poison.chunks(32)).take(2)).unwrap();
        clean[1].write(1, last - 2, poison.chunks(32).zip(poison.chunks(32)).take(4)).unwrap();
        for (visible, expected) in [1, 12, 13, 15].into_iter().zip(expected) {
            assert!(expected.iter().all(|x| x.is_finite()));
            assert_same_bits(&format!("{dtype}, {visible} visible"), &run(&clean, visible), &expected);
        }
    }
}

/// Rows of several sequences with ragged visible lengths: the same bits alone, at any place, on any pool.
#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(5);
    for of in [(4, 4, 16), (6, 2, 32), (4, 1, 128)] {
        let heads = heads(of);
        for dtype in DTYPES {
            let forks = forks(&mut inputs, dtype, heads.kv * heads.dim, 29, &[0, 1, 9, 40, 3]);
            let queries: Vec<Query> = (0..97)
                .map(|row| Query {
                    sequence: row % 5,
                    visible: 1 + inputs.below(forks[row % 5].sequence.len()),
                })
                .collect();
            let qkv = tensor(&Device::Cpu, 97, heads.fused_width(), &fused(&mut inputs, 97, heads));
            let run = |order: &[usize]| {
                let rows: Vec<Query> = order.iter().map(|&row| queries[row]).collect();
                written(&Device::Cpu, |out| attention(&chosen(&qkv, order), heads, &forks, &[0], &rows, out))
            };
            let identity: Vec<usize> = (0..97).collect();
            let context = format!("{dtype} {heads:?}");
            let width = heads.query * heads.dim;
            let all = on_any_pool(&context, || run(&identity).into_data().unwrap());
            assert!(all.iter().all(|x| x.is_finite()), "{context}");
            let order = inputs.order(97);
            let shuffled = run(&order);
            for (place, &row) in order.iter().enumerate() {
                let expected = &all[row * width..(row + 1) * width];
                assert_same_bits(&format!("{context} row {row} at {place}"), shuffled.row(place), expected);
                assert_same_bits(&format!("{context} row {row} alone"), run(&[row]).data(), expected);
            }
        }
    }
}

/// Sequences as they come in practice, in the order in which their rows are asked for.
fn scenes(inputs: &mut Inputs, dtype: DType, width: usize, gaps: bool) -> [(&'static str, Vec<Plain>); 4] {
    let mut grow = |sequence: Plain, count| match gaps {
        true => sequence.grow_with_gaps(inputs, count),
        false => sequence.grow(inputs, count),
    };
    let new = || Plain::new(width, dtype);
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
    let mut inputs = Inputs::new(6);
    for of in DIMS {
        let heads = heads(of);
        let (width, stride) = (heads.query * heads.dim, heads.fused_width());
        for (dtype, gaps) in
            [(DType::F32, false), (DType::F32, true), (DType::Bf16, false), (DType::Bf16, true)]
        {
            for (scene, sequences) in scenes(&mut inputs, dtype, heads.kv * heads.dim, gaps) {
                let context = format!("{dtype} {heads:?} {scene}, gaps {gaps}");
                // A decode step of all, a prefill of each, and rows cut anywhere.
                let len = |sequence: usize| sequences[sequence].sequence.len();
                let all = (0..sequences.len()).map(|sequence| (sequence, len(sequence)));
                let last = (0..sequences.len()).flat_map(|sequence| {
                    (len(sequence).saturating_sub(5)..len(sequence)).map(move |at| (sequence, at + 1))
                });
                let cut: Vec<_> = (0..9)
                    .map(|_| {
                        let sequence = inputs.below(sequences.len());
                        (sequence, 1 + inputs.below(len(sequence)))
                    })
                    .collect();
                let queries: Vec<Query> = all
                    .chain(last)
                    .chain(cut)
                    .map(|(sequence, visible)| Query { sequence, visible })
                    .collect();
                let data = fused(&mut inputs, queries.len(), heads);
                let qkv = tensor(&Device::Cpu, queries.len(), stride, &data);
                let run = |rows: &[usize]| {
                    let queries: Vec<Query> = rows.iter().map(|&row| queries[row]).collect();
                    written(&Device::Cpu, |out| {
                        attention(&chosen(&qkv, rows), heads, &sequences, &SLOTS, &queries, out)
                    })
                };
                let order: Vec<usize> = (0..queries.len()).collect();
                let together = on_any_pool(&context, || run(&order).into_data().unwrap());
                assert_near_plain(&context, &together, &data, heads, &sequences, &queries);

                let expected = |rows: &[usize]| -> Vec<f32> {
                    rows.iter().flat_map(|row| &together[row * width..(row + 1) * width]).copied().collect()
                };
                let reversed: Vec<usize> = order.iter().rev().copied().collect();
                let orders = [order.clone(), reversed, inputs.order(order.len()), inputs.order(order.len())];
                for order in &orders {
                    for group in [1, 2, 3, 4, 5, 7, order.len()] {
                        for rows in order.chunks(group) {
                            let context = format!("{context}, rows {rows:?}");
                            assert_same_bits(&context, run(rows).data(), &expected(rows));
                        }
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    /// Forked anywhere, any number of times, a sequence gives the bits of one that was never cut.
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
