//! The column of the largest element of x·W.

use fathom::{
    DType, Device, Tensor, Tokens, Weight,
    ops::{
        arg_max::arg_max,
        linear::{Epilogue, linear},
    },
};
use fathom_testkit::{
    inputs::Inputs,
    reference,
    shapes::{ROWS, WEIGHTS},
};

use crate::common::{SHARED, assert_rows_are_independent, everywhere, on_any_pool, tensor, weight, written};

/// The columns, whatever was in their place before.
#[track_caller]
fn columns(x: &Tensor, head: &Weight) -> Vec<u32> {
    let of = |x: &Tensor, out: &mut Tokens| {
        arg_max(x, head, out).expect("operands that fit");
        out.to_vec().expect("a device that works")
    };
    let (mut fresh, mut stale) = (Tokens::empty(x.device()), Tokens::empty(x.device()));
    let more = tensor(x.device(), x.rows() + 3, x.width(), &vec![-1.0; (x.rows() + 3) * x.width()]);
    of(&more, &mut stale);
    let columns = of(x, &mut fresh);
    assert_eq!(of(x, &mut stale), columns, "over stale columns");
    columns
}

fn first_largest(row: &[f32]) -> u32 {
    let mut best = 0;
    for (column, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = column;
        }
    }
    best as u32
}

/// Small integers tie often: the lowest column wins, within a panel and across panels.
#[test]
fn exact_on_integers_with_ties() {
    let mut inputs = Inputs::new(1);
    let mut ties = 0;
    for (k, n) in WEIGHTS {
        let w = inputs.integers(k * n, 1);
        for rows in ROWS {
            let x = inputs.integers(rows * k, 1);
            let logits: Vec<f32> = reference::linear(&x, &w, None, k, n);
            let expected: Vec<u32> = logits.chunks(n).map(first_largest).collect();
            let tied = |(row, &best): (&[f32], &u32)| row[best as usize + 1..].contains(&row[best as usize]);
            ties += usize::from(n > 32) * logits.chunks(n).zip(&expected).filter(|&pair| tied(pair)).count();
            for (device, dtype) in everywhere() {
                let got = columns(&tensor(&device, rows, k, &x), &weight(&device, dtype, k, n, &w));
                assert_eq!(got, expected, "{device} {dtype} [{rows}, {k}]·[{k}, {n}]");
            }
        }
    }
    assert!(ties > 100, "{ties} ties are too few to tell");
}

/// The padding of the last panel or tile never wins, though it is zero and all columns are negative.
#[test]
fn padding_never_wins() {
    for (device, dtype) in everywhere() {
        for n in [1, 31, 33, 63, 65, 129] {
            let w: Vec<f32> = (0..n).map(|column| -250.0 + column as f32).collect();
            let got = columns(&tensor(&device, 1, 1, &[1.0]), &weight(&device, dtype, 1, n, &w));
            assert_eq!(got, [n as u32 - 1], "{device} {dtype}");
        }
    }
}

/// A product that is shared among threads in four tasks, of an odd number of channels.
const WIDE: (usize, usize, usize) = (97, 131, 417);

const _: () = assert!(WIDE.0 * WIDE.1 * WIDE.2 >= SHARED && 256 * MANY.1 * MANY.2 >= SHARED);

/// The same column as the largest of the logits that the linear operation gives, bit for bit.
#[test]
fn agrees_with_the_logits() {
    let (rows, h, vocabulary) = WIDE;
    let mut inputs = Inputs::new(2);
    let (x, w) = (inputs.bell(rows * h), inputs.bell(h * vocabulary));
    for (device, dtype) in everywhere() {
        let head = weight(&device, dtype, h, vocabulary, &w);
        for rows in [1, 17, 65, rows] {
            let x = tensor(&device, rows, h, &x[..rows * h]);
            let logits = written(&device, |out| linear(&x, &head, None, Epilogue::None, out));
            let expected: Vec<u32> = logits.data().chunks(vocabulary).map(first_largest).collect();
            assert_eq!(columns(&x, &head), expected, "{device} {dtype} {rows} rows");
        }
    }
}

#[test]
fn rows_are_independent() {
    let (rows, h, vocabulary) = WIDE;
    let mut inputs = Inputs::new(3);
    let (x, w) = (inputs.bell(rows * h), inputs.bell(h * vocabulary));
    for (device, dtype) in everywhere() {
        let head = weight(&device, dtype, h, vocabulary, &w);
        assert_rows_are_independent(&format!("{device} {dtype}"), &device, &x, h, |x| {
            columns(&x, &head).into_iter().map(|column| column as f32).collect()
        });
    }
}

/// Rows enough that columns are shared among threads and rows walked in several rounds, by heads of ten panels.
const MANY: (usize, usize, usize) = (300, 64, 301);

/// Two columns each: in one panel, in neighbours, in two tasks that may run at once, first and last.
const PLACES: [(usize, usize); 8] =
    [(3, 4), (31, 32), (0, 64), (96, 127), (127, 128), (5, 300), (130, 259), (0, 300)];

/// The columns that each row of `x` repeated gives; all of them have to be the same. On the CPU on any pool, and in many
/// rows; a GPU's blocks share none.
#[track_caller]
fn column_of_all(
    context: &str,
    device: &Device,
    dtype: DType,
    x: f32,
    of: impl Fn(usize) -> f32 + Sync,
) -> u32 {
    let (rows, h, vocabulary) = MANY;
    let on_cpu = *device == Device::Cpu;
    let rows = if on_cpu { rows } else { 3 };
    let x = tensor(device, rows, h, &vec![x; rows * h]);
    let w: Vec<f32> = (0..h).flat_map(|_| (0..vocabulary).map(&of)).collect();
    let head = weight(device, dtype, h, vocabulary, &w);
    let run = || columns(&x, &head).into_iter().map(|column| column as f32).collect::<Vec<_>>();
    let got = if on_cpu { on_any_pool(context, run) } else { run() };
    assert!(got.iter().all(|column| *column == got[0]), "{context}: {got:?}");
    got[0] as u32
}

#[test]
fn ties_across_panels_and_tasks() {
    for (device, dtype) in everywhere() {
        for (low, high) in PLACES {
            for (best, rest) in [(1.0, 0.0), (-1.0, -2.0), (0.0, -1.0), (f32::NEG_INFINITY, f32::NAN)] {
                let context = format!("{device} {dtype} {best} at {low} and {high}, {rest} elsewhere");
                let of = |column| if column == low || column == high { best } else { rest };
                assert_eq!(column_of_all(&context, &device, dtype, 1.0, of), low as u32, "{context}");
                let of = |column| if column == high { best } else { rest };
                assert_eq!(
                    column_of_all(&context, &device, dtype, 1.0, of),
                    high as u32,
                    "{context}, high alone"
                );
            }
        }
    }
}

/// −0 is no less than 0: products that underflow from below tie with those of a zero column.
#[test]
fn zeros_of_either_sign_tie() {
    let (tiny, x) = (-1e-30, 1e-30);
    let logit = written(&Device::Cpu, |out| {
        let w = weight(&Device::Cpu, DType::F32, 1, 1, &[tiny]);
        linear(&tensor(&Device::Cpu, 1, 1, &[x]), &w, None, Epilogue::None, out)
    });
    assert_eq!(logit.data()[0].to_bits(), (-0.0f32).to_bits(), "the product underflows to −0");
    for (device, dtype) in everywhere() {
        for (low, high) in PLACES {
            for (first, second) in [(tiny, 0.0), (0.0, tiny)] {
                let context = format!("{device} {dtype} {first} at {low}, {second} at {high}");
                // Everything else is −64·10⁻³⁰, far above where f32 underflows.
                let of = |column| match column {
                    _ if column == low => first,
                    _ if column == high => second,
                    _ => -1.0,
                };
                assert_eq!(column_of_all(&context, &device, dtype, x, of), low as u32, "{context}");
            }
        }
    }
}

/// A row of NaN names column 0 and leaves its neighbours alone; a column of NaN loses, wherever it stands.
#[test]
fn nan_loses() {
    let (rows, h, vocabulary) = MANY;
    let mut inputs = Inputs::new(4);
    let (x, w) = (inputs.bell(rows * h), inputs.bell(h * vocabulary));
    for (device, dtype) in everywhere() {
        let head = weight(&device, dtype, h, vocabulary, &w);
        let expected = columns(&tensor(&device, rows, h, &x), &head);
        let mut spoilt = x.clone();
        spoilt.chunks_mut(h).step_by(3).for_each(|row| row[h - 1] = f32::NAN);
        for (row, (got, clean)) in
            columns(&tensor(&device, rows, h, &spoilt), &head).into_iter().zip(expected).enumerate()
        {
            assert_eq!(got, if row % 3 == 0 { 0 } else { clean }, "{device} {dtype} row {row}");
        }
        for (low, high) in PLACES {
            let context = format!("{device} {dtype} NaN at {low} and {high}");
            let of = |column| match column {
                _ if column == low || column == high => f32::NAN,
                200 => -2.0,
                _ => -3.0,
            };
            assert_eq!(column_of_all(&context, &device, dtype, 1.0, of), 200, "{context}");
        }
    }
}
