//! Gradients of a linear's matrix, bias and input.

use fathom::{
    Device, Tensor, Weight,
    ops::linear::{Epilogue, linear, linear_backward_bias, linear_backward_weight},
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference,
    shapes::{ROWS, WEIGHTS},
    tolerance::EXACT_F32,
};

use crate::common::{SHARED, added, on_any_pool, tensor, written};

const CPU: Device = Device::Cpu;

/// dw `[n, k]` and db of operands, added to what is given.
fn gradients(x: &Tensor, dy: &Tensor, dw: &[f32], db: &[f32]) -> [Vec<f32>; 2] {
    let (k, n) = (x.width(), dy.width());
    [
        added(&CPU, n, k, dw, |dw| linear_backward_weight(x, dy, dw)).into_data().unwrap(),
        added(&CPU, 1, n, db, |db| linear_backward_bias(dy, db)).into_data().unwrap(),
    ]
}

/// What was there is odd and what is added even, so that neither can be missing; no rows add nothing.
#[test]
fn exact_on_integers() {
    let mut inputs = Inputs::new(1);
    for (k, n) in WEIGHTS {
        for rows in ROWS.into_iter().chain([0, 511, 520]) {
            assert!(rows as i64 * 14 * 7 + 100 < EXACT_F32);
            let x: Vec<f32> = inputs.integers(rows * k, 7);
            let dy: Vec<f32> = inputs.integers(rows * n, 7).iter().map(|x| 2.0 * x).collect();
            let (dw, db) = (inputs.odd_integers(n * k, 50), inputs.odd_integers(n, 50));
            let [got_w, got_b] = gradients(&tensor(&CPU, rows, k, &x), &tensor(&CPU, rows, n, &dy), &dw, &db);
            let plus =
                |sums: Vec<f32>, to: &[f32]| sums.iter().zip(to).map(|(a, b)| a + b).collect::<Vec<_>>();
            let context = format!("[{rows}, {k}] and [{rows}, {n}]");
            assert_eq!(got_w, plus(reference::linear_backward_weight(&x, &dy, k, n), &dw), "{context}");
            assert_eq!(got_b, plus(reference::column_sums(&dy, n), &db), "{context}");
        }
    }
}

/// One chain of sums, and the addition to what was there.
#[test]
fn near_float64_on_any_pool() {
    let mut inputs = Inputs::new(2);
    let shapes = [(1, 5, 3), (97, 33, 34), (300, 129, 161), (1030, 64, 97)];
    let shared = |(rows, k, n): (usize, usize, usize)| rows * k * n >= SHARED;
    assert_eq!(shapes.map(shared), [false, false, true, true]);
    for (rows, k, n) in shapes {
        let (x, dy) = (inputs.bell(rows * k), inputs.bell(rows * n));
        let (xs, dys) = (tensor(&CPU, rows, k, &x), tensor(&CPU, rows, n, &dy));
        let context = format!("[{rows}, {k}] and [{rows}, {n}]");
        let both = on_any_pool(&context, || gradients(&xs, &dys, &vec![0.0; n * k], &vec![0.0; n]).concat());
        let (dw, db) = both.split_at(n * k);
        let naive = reference::linear_backward_weight::<f32>(&x, &dy, k, n);
        assert_near(&context, dw, &naive, &reference::linear_backward_weight(&x, &dy, k, n), 1);
        assert_near(&context, db, &reference::column_sums::<f32>(&dy, n), &reference::column_sums(&dy, n), 1);
    }
}

/// The gradient of x is dy times the transpose: both are linears of one matrix `[n, k]` as checkpoints store it.
#[test]
fn inputs_gradient_is_a_linear_of_the_transpose() {
    let (rows, k, n) = (13, 33, 70);
    let mut inputs = Inputs::new(3);
    let stored = tensor(&CPU, n, k, &inputs.integers(n * k, 7));
    let (x, dy) = (inputs.integers(rows * k, 7), inputs.integers(rows * n, 7));
    let (forward, backward) = (Weight::of_columns(&stored).unwrap(), Weight::of_rows(&stored).unwrap());
    let product = |x: &[f32], w: &Weight| {
        let x = tensor(&CPU, rows, w.k(), x);
        written(&CPU, |out| linear(&x, w, None, Epilogue::None, out)).into_data().unwrap()
    };
    let transposed: Vec<f32> = (0..k * n).map(|i| stored.data()[i % n * k + i / n]).collect();
    assert_eq!(product(&x, &forward), reference::linear::<f32>(&x, &transposed, None, k, n));
    assert_eq!(product(&dy, &backward), reference::linear::<f32>(&dy, stored.data(), None, n, k));
}

/// What a product keeps from call to call leaves no trace in the next.
#[test]
fn calls_are_independent() {
    let of = |(rows, k, n): (usize, usize, usize)| {
        let mut inputs = Inputs::new(4);
        let (x, dy) = (inputs.bell(rows * k), inputs.bell(rows * n));
        let (x, dy) = (tensor(&CPU, rows, k, &x), tensor(&CPU, rows, n, &dy));
        gradients(&x, &dy, &vec![0.0; n * k], &vec![0.0; n]).concat()
    };
    let first = of((40, 70, 33));
    for between in [(7, 3, 5), (600, 33, 70)] {
        of(between);
        assert_same_bits(&format!("after {between:?}"), &of((40, 70, 33)), &first);
    }
}
