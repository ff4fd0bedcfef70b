//! Causal attention over shared and private segments.

use fathom::{
    DType, Device, Tensor,
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

use crate::common::{DTYPES, append, devices, everywhere, tensor, written};

/// After its sums a result takes the score's scale, an exponential within an ulp, the weight's product and the division
/// by the total; an error δ of a score moves a weight by δ, and scores here stay below 8 in magnitude.
const ROUNDINGS: u32 = 16;

/// What attention reads of a position: the first of these slots that it has.
pub(crate) const SLOTS: [usize; 2] = [2, 0];

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
    pub(crate) fn new(device: &Device, width: usize, dtype: DType) -> Self {
        Self { sequence: Sequence::new(device, Layout { width, dtype, slots: 1 }), rows: Vec::new() }
    }

    pub(crate) fn grow(mut self, inputs: &mut Inputs, count: usize) -> Self {
        let width = self.sequence.layout().width;
        let first = self.sequence.admit(count);
        for position in first..first + count {
            self.write(position, 0, inputs.bell(width), inputs.bell(width));
        }
        self
    }

    /// As [`Plain::grow`], but of five positions the second has both slots, the fourth the preferred one alone, and the
    /// last one only a slot that is not read.
    pub(crate) fn grow_with_gaps(mut self, inputs: &mut Inputs, count: usize) -> Self {
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

    pub(crate) fn fork(self, count: usize) -> Vec<Self> {
        let forks = self.sequence.fork(count).into_iter();
        forks.map(|sequence| Self { sequence, rows: self.rows.clone() }).collect()
    }
}

/// Forks of a prompt of `prompt` positions, each with its own suffix; a suffix of 0 is empty.
pub(crate) fn forks(
    device: &Device,
    inputs: &mut Inputs,
    dtype: DType,
    width: usize,
    prompt: usize,
    suffixes: &[usize],
) -> Vec<Plain> {
    let forks = Plain::new(device, width, dtype).grow(inputs, prompt).fork(suffixes.len()).into_iter();
    forks.zip(suffixes).map(|(fork, &suffix)| fork.grow(inputs, suffix)).collect()
}

/// Query rows with poison where keys and values of a fused row lie: attention reads them from the sequences.
pub(crate) fn fused(inputs: &mut Inputs, rows: usize, heads: Heads) -> Vec<f32> {
    let own = heads.query * heads.dim;
    (0..rows).flat_map(|_| [inputs.bell(own), poisoned(heads.fused_width() - own)].concat()).collect()
}

/// Whether the device has a kernel for such heads.
pub(crate) fn takes(device: &Device, dtype: DType, heads: Heads) -> bool {
    match (device, dtype) {
        (Device::Cpu, _) => true,
        (_, DType::F32) => heads.dim <= 256,
        (_, DType::Bf16) => heads.dim <= 128 && heads.dim.is_multiple_of(8),
    }
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

/// Stored in f32, `got` is held to a naive f32 version. Stored in bf16, the CPU's is held to the same once keys and values
/// are rounded, and to a naive bf16 version against the unrounded ones.
///
/// A GPU rounds queries and weights as well: once queries, keys and values are rounded it may err twice as much as a
/// naive version that rounds its weights, the bound of FlashAttention's own tests (<https://github.com/Dao-AILab/flash-attention>).
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
    if dtype == DType::Bf16 && *sequences[0].sequence.device() != Device::Cpu {
        let qkv = rounded_to_bf16(qkv);
        let exact = plain(&qkv, heads, &stored, queries, reference::attention::<f64>);
        let naive = plain(&qkv, heads, &stored, queries, reference::attention_bf16);
        return assert_near(context, got, &naive, &exact, ROUNDINGS);
    }
    let exact = plain(qkv, heads, &stored, queries, reference::attention::<f64>);
    let naive = plain(qkv, heads, &stored, queries, reference::attention::<f32>);
    assert_near(context, got, &naive, &exact, ROUNDINGS);
    if dtype == DType::Bf16 {
        let exact = plain(qkv, heads, &given, queries, reference::attention::<f64>);
        let naive = rounded_to_bf16(&plain(qkv, heads, &given, queries, reference::attention_bf16));
        assert_near(&format!("naive bf16: {context}"), got, &naive, &exact, ROUNDINGS);
    }
}

/// Heads as every operation is tried on, those that run in a wider form on a GPU, and more query heads a kv head than the
/// sixteen rows of a product.
fn all_heads() -> impl Iterator<Item = Heads> {
    HEADS.into_iter().chain([(2, 1, 24), (3, 3, 40), (40, 2, 16), (5, 1, 104)]).map(heads)
}

/// A prompt with empty, short and long suffixes, one sequence and several: single rows that see all, some and one of the
/// positions, and between them the rows of a prefill, from the first position on or over the last.
#[test]
fn near_float64() {
    const SUFFIXES: [&[usize]; 3] = [&[0], &[0, 1, 3], &[2, 0, 17, 64]];
    for device in devices() {
        let mut inputs = Inputs::new(1);
        for (shape, heads) in all_heads().enumerate() {
            let width = heads.kv * heads.dim;
            for (number, prompt) in [1, 5, 63, 64, 65, 130].into_iter().enumerate() {
                let suffixes = SUFFIXES[(shape + number / 3) % 3];
                for dtype in DTYPES {
                    // Some of them where they take long.
                    let every = if dtype == DType::F32 { 6 } else { 3 };
                    if device != Device::Cpu && (shape + number) % every != 0 {
                        continue;
                    }
                    let forks = forks(&device, &mut inputs, dtype, width, prompt, suffixes);
                    let queries: Vec<Query> = (0..forks.len())
                        .flat_map(|sequence| {
                            let all = forks[sequence].sequence.len();
                            let prefill =
                                if sequence % 2 == 0 { 1..prompt.min(66) + 1 } else { prompt - 1..all + 1 };
                            let singles = [all, 1, prompt, prompt.div_ceil(2), all - all / 3];
                            singles
                                .into_iter()
                                .chain(prefill.filter(|visible| *visible > 0))
                                .chain([all])
                                .map(move |visible| Query { sequence, visible })
                        })
                        .collect();
                    let qkv = fused(&mut inputs, queries.len(), heads);
                    let x = tensor(&device, queries.len(), heads.fused_width(), &qkv);
                    let got = written(&device, |out| attention(&x, heads, &forks, &[0], &queries, out));
                    assert_eq!((got.rows(), got.width()), (queries.len(), heads.query * heads.dim));
                    let context = format!("{device} {dtype} {heads:?} prompt {prompt} suffixes {suffixes:?}");
                    assert_near_plain(&context, got.data(), &qkv, heads, &forks, &queries);
                }
            }
        }
    }
}

/// Queries in fused rows, alone, and rounded to what the kernels read give the same; what the next product reads is
/// written rounded.
#[test]
fn forms_of_queries_and_results() {
    for device in devices() {
        for dtype in DTYPES {
            let (heads, mut inputs) = (Heads { query: 6, kv: 3, dim: 24 }, Inputs::new(7));
            let forks = forks(&device, &mut inputs, dtype, 72, 20, &[3, 3]);
            let queries: Vec<Query> = [(0, 23), (1, 21), (1, 22), (1, 23), (0, 7)]
                .map(|(sequence, visible)| Query { sequence, visible })
                .into();
            let rows = queries.len();
            let qkv = fused(&mut inputs, rows, heads);
            let q: Vec<f32> = qkv.chunks(heads.fused_width()).flat_map(|row| &row[..144]).copied().collect();
            let run = |q: &Tensor| written(&device, |out| attention(q, heads, &forks, &[0], &queries, out));
            let expected = run(&tensor(&device, rows, heads.fused_width(), &qkv));
            let alone = run(&tensor(&device, rows, 144, &q));
            assert_same_bits(&format!("{device} {dtype}, queries alone"), alone.data(), expected.data());
            if dtype == DType::Bf16 {
                let mut rounded = Tensor::operand(&device, dtype);
                rounded.set(rows, 144, &q).unwrap();
                let alone = run(&rounded);
                assert_same_bits(&format!("{device}, rounded queries"), alone.data(), expected.data());
                let mut out = Tensor::operand(&device, dtype);
                attention(&rounded, heads, &forks, &[0], &queries, &mut out).unwrap();
                let expected = match device {
                    Device::Cpu => expected.data().to_vec(),
                    _ => rounded_to_bf16(expected.data()),
                };
                assert_same_bits(&format!("{device}, rounded results"), &out.to_vec().unwrap(), &expected);
            }
        }
    }
}

/// Heads for which a device has no kernel are an error that says so, and no others.
#[test]
fn heads_that_a_device_does_not_take() {
    for device in devices() {
        for dtype in DTYPES {
            for dim in [1, 7, 8, 12, 24, 33, 96, 120, 128, 130, 136, 256, 257] {
                let heads = Heads { query: 1, kv: 1, dim };
                let sequences = forks(&device, &mut Inputs::new(8), dtype, dim, 3, &[0]);
                let q = tensor(&device, 1, dim, &vec![0.0; dim]);
                let row = [Query { sequence: 0, visible: 3 }];
                let got = attention(&q, heads, &sequences, &[0], &row, &mut Tensor::empty(&device));
                match takes(&device, dtype, heads) {
                    true => assert_eq!(got, Ok(()), "{device} {dtype}, {dim} channels"),
                    false => assert!(got.unwrap_err().to_string().contains(&dim.to_string())),
                }
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
    let wanted: Vec<[usize; 4]> =
        (0..positions).map(|at| [at, (at + 1) % positions, at / 2, 96 - at]).collect();
    let all = vec![Query { sequence: 0, visible: positions }; positions];
    // A prefill whose rows want what they see last, and before.
    let rising: Vec<[usize; 4]> = (0..positions).map(|at| [at, at / 2, at - at / 3, 0]).collect();
    let prefill: Vec<Query> = (1..=positions).map(|visible| Query { sequence: 0, visible }).collect();
    for (device, dtype) in everywhere() {
        let mut root = Sequence::new(&device, Layout { width, dtype, slots: 1 });
        append(&mut root, 0, width, &keys[..60 * width], &values[..60 * width]);
        let mut fork = root.fork(1).remove(0);
        append(&mut fork, 0, width, &keys[60 * width..], &values[60 * width..]);
        for (wanted, queries) in [(&wanted, &all), (&rising, &prefill)] {
            let codes = |row: &[usize; 4]| row.map(|at| code(at, 512.0).collect::<Vec<_>>()).concat();
            let qkv: Vec<f32> =
                wanted.iter().flat_map(|row| [codes(row), poisoned(2 * width)].concat()).collect();
            let qkv = tensor(&device, positions, heads.fused_width(), &qkv);
            let got = written(&device, |out| attention(&qkv, heads, &[&fork], &[0], queries, out));
            for (row, wanted) in wanted.iter().enumerate() {
                for (head, &at) in wanted.iter().enumerate() {
                    let from = at * width + head / 2 * heads.dim;
                    let got = &got.row(row)[head * heads.dim..(head + 1) * heads.dim];
                    let expected = &values[from..from + heads.dim];
                    assert_eq!(got, expected, "{device} {dtype} row {row} head {head} position {at}");
                }
            }
        }
    }
}

/// One visible position is returned as it is, however large its score: to a single row and to the first of a prefill.
#[test]
fn a_single_position_is_its_value() {
    for (device, dtype) in everywhere() {
        let mut sequence = Sequence::new(&device, Layout { width: 16, dtype, slots: 1 });
        let values = Inputs::new(3).integers(32, 100);
        append(&mut sequence, 0, 16, &[3e4; 32], &values);
        let heads = Heads { query: 1, kv: 1, dim: 16 };
        let first = Query { sequence: 0, visible: 1 };
        for rows in [&[first][..], &[first, Query { visible: 2, ..first }]] {
            let row = [[1e4; 16], [0.0; 16], [0.0; 16]].concat();
            let qkv = tensor(&device, rows.len(), 48, &row.repeat(rows.len()));
            let got = written(&device, |out| attention(&qkv, heads, &[&sequence], &[0], rows, out));
            assert_eq!(got.row(0), &values[..16], "{device} {dtype}");
        }
    }
}

/// Positions that a row does not see hold NaN, as do other sequences and other slots: nothing of them may leak, not even
/// into rows beside others that see them.
#[test]
fn what_is_not_visible_is_not_read() {
    let heads = Heads { query: 2, kv: 1, dim: 32 };
    for (device, dtype) in everywhere() {
        let mut inputs = Inputs::new(4);
        let forks = forks(&device, &mut inputs, dtype, 32, 13, &[4, 4]);
        let mut clean: Vec<Sequence> = forks.into_iter().map(|fork| fork.sequence).collect();
        let qkv = fused(&mut inputs, 1, heads);
        let run = |sequences: &[Sequence], visible| {
            let rows =
                [(0, 14), (1, visible), (0, 17)].map(|(sequence, visible)| Query { sequence, visible });
            let qkv = tensor(&device, 3, heads.fused_width(), &qkv.repeat(3));
            written(&device, |out| attention(&qkv, heads, sequences, &[0], &rows, out)).row(1).to_vec()
        };
        let expected: Vec<_> = [1, 12, 13, 15].map(|visible| run(&clean, visible)).into();
        let poison = poisoned(4 * 32);
        clean[0].write(0, 13, poison.chunks(32).zip(poison.chunks(32))).unwrap();
        let last = clean[1].len() - 2;
        clean[1].write(0, last, poison.chunks(32).zip(poison.chunks(32)).take(2)).unwrap();
        clean[1].write(1, last - 2, poison.chunks(32).zip(poison.chunks(32)).take(4)).unwrap();
        for (visible, expected) in [1, 12, 13, 15].into_iter().zip(expected) {
            assert!(expected.iter().all(|x| x.is_finite()));
            let context = format!("{device} {dtype}, {visible} visible");
            assert_same_bits(&context, &run(&clean, visible), &expected);
        }
    }
}
