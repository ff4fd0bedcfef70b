//! Attention over windows of rows, and its gradients.

use std::ops::Range;

use fathom::{
    Device, Tensor,
    ops::{
        attention::Heads,
        window_attention::{Gradients, Window, window_attention, window_attention_backward},
    },
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits, largest_error},
    inputs::Inputs,
    reference::{self, Shape},
    shapes::HEADS,
    tolerance::{UNIT, against_naive},
};

use crate::common::{devices, on_any_pool, poisoned_tensor, tensor, written};

struct Case {
    heads: Heads,
    windows: Vec<Window>,
    positions: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dout: Vec<f32>,
    /// What the gradients of keys and values are added to.
    start: [Vec<f32>; 2],
}

/// The largest norm of `width` neighbouring elements.
fn norm(x: &[f32], width: usize) -> f64 {
    let squares = x.chunks(width).map(|x| x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>());
    squares.fold(0.0, f64::max).sqrt()
}

/// Sequences one behind the other, each row of which sees its own up to itself.
fn causal(lengths: &[usize]) -> Vec<Window> {
    let firsts = lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end - length)
    });
    let rows = lengths
        .iter()
        .zip(firsts)
        .flat_map(|(&length, first)| (0..length).map(move |row| Window { first, visible: row + 1 }));
    rows.collect()
}

impl Case {
    fn new((query, kv, dim): (usize, usize, usize), windows: Vec<Window>, seed: u64) -> Self {
        let positions = windows.iter().map(|window| window.first + window.visible).max().unwrap_or(0);
        let mut inputs = Inputs::new(seed);
        let [q, dout] = [0; 2].map(|_| inputs.bell(windows.len() * query * dim));
        let [k, v, dk, dv] = [0; 4].map(|_| inputs.bell(positions * kv * dim));
        Self { heads: Heads { query, kv, dim }, windows, positions, q, k, v, dout, start: [dk, dv] }
    }

    fn tensors(&self, device: &Device) -> [Tensor; 3] {
        let Heads { query, kv, dim } = self.heads;
        let of = |rows, width, data: &[f32]| tensor(device, rows, width, data);
        [
            of(self.windows.len(), query * dim, &self.q),
            of(self.positions, kv * dim, &self.k),
            of(self.positions, kv * dim, &self.v),
        ]
    }

    /// The output, then the gradients of queries, keys and values.
    fn run(&self, device: &Device) -> [Vec<f32>; 4] {
        let Heads { query, kv, dim } = self.heads;
        let [q, k, v] = self.tensors(device);
        let out = written(device, |out| window_attention(&q, &k, &v, self.heads, &self.windows, out));
        let out = tensor(device, q.rows(), q.width(), out.data());
        let dout = tensor(device, self.windows.len(), query * dim, &self.dout);
        let mut dq = poisoned_tensor(device, q.rows(), q.width());
        let [mut dk, mut dv] =
            [0, 1].map(|which: usize| tensor(device, self.positions, kv * dim, &self.start[which]));
        let gradients = Gradients { dq: &mut dq, dk: &mut dk, dv: &mut dv };
        window_attention_backward(&q, &k, &v, [&out, &dout], self.heads, &self.windows, gradients).unwrap();
        assert_eq!((dq.rows(), dq.width()), (q.rows(), q.width()));
        [out, dq, dk, dv].map(|x| x.into_data().unwrap())
    }

    fn near_float64(&self, context: &str) {
        let takes = |device: &Device| *device == Device::Cpu || self.heads.dim <= 256;
        for device in devices().iter().filter(|device| takes(device)) {
            self.near_float64_on(device, &format!("{device} {context}"));
        }
    }

    fn near_float64_on(&self, device: &Device, context: &str) {
        let Self { heads: Heads { query, kv, dim }, q, k, v, dout, start, .. } = self;
        let shape = Shape { query: *query, kv: *kv, dim: *dim };
        let windows: Vec<Range<usize>> =
            self.windows.iter().map(|window| window.first..window.first + window.visible).collect();
        let all = on_any_pool(context, || self.run(device).concat());
        let (out, rest) = all.split_at(q.len());
        let (dq, rest) = rest.split_at(q.len());
        let (dk, dv) = rest.split_at(k.len());
        // Scale, exponential within an ulp, division, and the product with it.
        let naive: Vec<f32> = reference::window_attention(q, k, v, &windows, shape);
        assert_near(context, out, &naive, &reference::window_attention(q, k, v, &windows, shape), 6);
        let [nq, nk, nv] = reference::window_attention_backward::<f32>([q, k, v], dout, &windows, shape);
        let [eq, ek, ev] = reference::window_attention_backward::<f64>([q, k, v], dout, &windows, shape);
        // The same, and the difference, the scale and the addition to what is there. Where few positions are seen, little
        // is left of the difference of two sums that round their largest terms, each in an order of its own.
        let nothing = vec![0.0; q.len()];
        let products = norm(dout, *dim) * norm(v, *dim) / (*dim as f64).sqrt();
        let cases = [
            ("dq", dq, nq, eq, &nothing, products * norm(k, 1)),
            ("dk", dk, nk, ek, &start[0], products * norm(q, 1)),
            ("dv", dv, nv, ev, &start[1], 0.0),
        ];
        for (name, got, naive, exact, start, products) in cases {
            let naive: Vec<f32> = naive.iter().zip(start).map(|(a, b)| a + b).collect();
            let exact: Vec<f64> = exact.iter().zip(start).map(|(a, &b)| a + f64::from(b)).collect();
            let error = largest_error(got, &exact);
            let allowed = against_naive(largest_error(&naive, &exact), &exact, 10) + 2.0 * UNIT * products;
            assert!(error <= allowed, "{context}, {name}: error {error:e}, allowed {allowed:e}");
        }
    }
}

/// Multi-head and grouped, heads that fill panels of channels and that do not; sequences below, at and past tiles of twelve
/// rows, panels of 32 positions and blocks of 96 rows.
#[test]
fn causal_sequences_near_float64() {
    for heads in HEADS.into_iter().chain([(3, 3, 7), (2, 1, 33), (1, 1, 1)]) {
        for lengths in [&[2][..], &[5, 1, 12], &[13, 32, 33], &[97, 20]] {
            Case::new(heads, causal(lengths), 1).near_float64(&format!("{heads:?} {lengths:?}"));
        }
    }
    Case::new((2, 1, 16), causal(&[300]), 2).near_float64("300 rows");
}

/// A head that is wider than what a tile multiplies at a time; 256 channels are the most on a GPU.
#[test]
fn wide_heads_near_float64() {
    Case::new((2, 1, 129), causal(&[15, 40]), 3).near_float64("129 channels");
    Case::new((1, 1, 256), causal(&[40]), 3).near_float64("256 channels");
    Case::new((2, 1, 300), causal(&[15, 40]), 3).near_float64("300 channels");
    Case::new((1, 1, 1024), causal(&[13]), 3).near_float64("1024 channels");
}

/// Rows of one sequence apart from each other, windows that overlap, contain each other and leave positions out, and rows in
/// any order.
#[test]
fn any_windows_near_float64() {
    let window = |(first, visible)| Window { first, visible };
    let apart = [(0, 3), (5, 4), (0, 4), (0, 2), (20, 1), (5, 9), (7, 3), (12, 30), (40, 5), (8, 1)];
    for heads in [(4, 2, 16), (1, 1, 33)] {
        Case::new(heads, apart.map(window).to_vec(), 4).near_float64(&format!("{heads:?}, apart"));
        let mut inputs = Inputs::new(5);
        let many = |_| window((inputs.below(70), 1 + inputs.below(60)));
        Case::new(heads, (0..150).map(many).collect(), 5).near_float64(&format!("{heads:?}, at random"));
        // All see all, as in an encoder.
        Case::new(heads, vec![window((0, 40)); 40], 6).near_float64(&format!("{heads:?}, all"));
    }
}

/// Where one position is seen it is the result, and scores have no gradient.
#[test]
fn a_single_position() {
    let case = Case::new((2, 1, 8), causal(&[1]), 7);
    for device in devices() {
        let [out, dq, dk, dv] = case.run(&device);
        assert_eq!(out, [&case.v[..], &case.v].concat());
        // What rounding leaves of a difference of two sums of eight products.
        let noise = |x: f32| x.abs() < 1e-5;
        assert!(dq.iter().copied().all(noise), "{dq:?}");
        assert!(dk.iter().zip(&case.start[0]).all(|(a, b)| noise(a - b)), "{dk:?}");
        let both: Vec<f32> = case.dout[..8].iter().zip(&case.dout[8..]).map(|(a, b)| a + b).collect();
        assert!(dv.iter().zip(&case.start[1]).zip(both).all(|((a, b), c)| noise(a - b - c)), "{dv:?}");
    }
}

/// A sequence's results and gradients are the same alone and among others, and its rows' results alone.
#[test]
fn sequences_are_independent() {
    devices().iter().for_each(independent);
}

fn independent(device: &Device) {
    let heads = (4, 2, 16);
    let lengths = [13, 40, 7];
    let mut all = Case::new(heads, causal(&lengths), 8);
    all.start = [vec![0.0; all.k.len()], vec![0.0; all.v.len()]];
    let together = all.run(device);
    let widths = [64, 64, 32, 32];
    let mut first = 0;
    for length in lengths {
        let part = |data: &[f32], width: usize| data[first * width..(first + length) * width].to_vec();
        let mut alone = Case::new(heads, causal(&[length]), 0);
        (alone.q, alone.dout) = (part(&all.q, 64), part(&all.dout, 64));
        (alone.k, alone.v) = (part(&all.k, 32), part(&all.v, 32));
        alone.start = [vec![0.0; alone.k.len()], vec![0.0; alone.v.len()]];
        for (index, (got, together)) in alone.run(device).iter().zip(&together).enumerate() {
            let context = format!("{device}, {length} rows, result {index}");
            assert_same_bits(&context, got, &part(together, widths[index]));
        }
        let [_, k, v] = alone.tensors(device);
        for row in [0, length / 2, length - 1] {
            let q = tensor(device, 1, 64, &alone.q[row * 64..(row + 1) * 64]);
            let window = [Window { first: 0, visible: row + 1 }];
            let got = written(device, |out| window_attention(&q, &k, &v, alone.heads, &window, out));
            assert_same_bits(&format!("row {row}"), got.data(), &part(&together[0], 64)[row * 64..][..64]);
        }
        first += length;
    }
}

/// Nothing to do: gradients of positions that nobody sees stay as they are.
#[test]
fn no_rows() {
    let mut case = Case::new((2, 1, 8), causal(&[3]), 9);
    (case.windows, case.q, case.dout) = (Vec::new(), Vec::new(), Vec::new());
    for device in devices() {
        let [out, dq, dk, dv] = case.run(&device);
        assert!(out.is_empty() && dq.is_empty());
        assert_eq!([dk, dv], case.start, "{device}");
    }
}
