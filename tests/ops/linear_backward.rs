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

use crate::common::{SHARED, added, chosen, devices, on_any_pool, tensor, written};

/// dw `[n, k]` and db of operands, added to what is given.
fn gradients(x: &Tensor, dy: &Tensor, dw: &[f32], db: &[f32]) -> [Vec<f32>; 2] {
    let (device, k, n) = (x.device(), x.width(), dy.width());
    [
        added(device, n, k, dw, |dw| linear_backward_weight(x, dy, dw)).into_data().unwrap(),
        added(device, 1, n, db, |db| linear_backward_bias(dy, db)).into_data().unwrap(),
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
            let plus =
                |sums: Vec<f32>, to: &[f32]| sums.iter().zip(to).map(|(a, b)| a + b).collect::<Vec<_>>();
            let expected_w = plus(reference::linear_backward_weight(&x, &dy, k, n), &dw);
            let expected_b = plus(reference::column_sums(&dy, n), &db);
            for device in devices() {
                let (x, dy) = (tensor(&device, rows, k, &x), tensor(&device, rows, n, &dy));
                let [got_w, got_b] = gradients(&x, &dy, &dw, &db);
                let context = format!("{device} [{rows}, {k}] and [{rows}, {n}]");
                assert_eq!(got_w, expected_w, "{context}");
                assert_eq!(got_b, expected_b, "{context}");
            }
        }
    }
}

/// One chain of sums, and the addition to what was there; the same chains on every device.
#[test]
fn near_float64_on_any_pool() {
    let mut inputs = Inputs::new(2);
    let shapes = [(1, 5, 3), (97, 33, 34), (300, 129, 161), (1030, 64, 97)];
    let shared = |(rows, k, n): (usize, usize, usize)| rows * k * n >= SHARED;
    assert_eq!(shapes.map(shared), [false, false, true, true]);
    for (rows, k, n) in shapes {
        let (x, dy) = (inputs.bell(rows * k), inputs.bell(rows * n));
        let context = format!("[{rows}, {k}] and [{rows}, {n}]");
        let of = |device: Device| {
            let (xs, dys) = (tensor(&device, rows, k, &x), tensor(&device, rows, n, &dy));
            on_any_pool(&context, || gradients(&xs, &dys, &vec![0.0; n * k], &vec![0.0; n]).concat())
        };
        let all: Vec<Vec<f32>> = devices().into_iter().map(of).collect();
        let both = &all[0];
        all.iter().for_each(|got| assert_same_bits(&context, got, both));
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
    let data = inputs.integers(n * k, 7);
    let (x, dy) = (inputs.integers(rows * k, 7), inputs.integers(rows * n, 7));
    let transposed: Vec<f32> = (0..k * n).map(|i| data[i % n * k + i / n]).collect();
    for device in devices() {
        // What lies between width and pitch is nobody's, and a product reads it of a weight.
        let stored = chosen(&tensor(&device, n, k, &data), &(0..n).collect::<Vec<_>>());
        let mut weights = [Weight::of_columns(&stored).unwrap(), Weight::of_rows(&stored).unwrap()];
        let product = |x: &[f32], w: &Weight| {
            let x = tensor(&device, rows, w.k(), x);
            written(&device, |out| linear(&x, w, None, Epilogue::None, out)).into_data().unwrap()
        };
        let expected = [
            reference::linear::<f32>(&x, &transposed, None, k, n),
            reference::linear::<f32>(&dy, &data, None, n, k),
        ];
        assert_eq!([product(&x, &weights[0]), product(&dy, &weights[1])], expected, "{device}");
        // In memory that held the other.
        weights[0].assign_rows(&stored).unwrap();
        weights[1].assign_columns(&stored).unwrap();
        assert_eq!([product(&x, &weights[1]), product(&dy, &weights[0])], expected, "{device}");
    }
}

/// What a product keeps from call to call leaves no trace in the next.
#[test]
fn calls_are_independent() {
    let of = |(rows, k, n): (usize, usize, usize)| {
        let mut inputs = Inputs::new(4);
        let (x, dy) = (inputs.bell(rows * k), inputs.bell(rows * n));
        let (x, dy) = (tensor(&Device::Cpu, rows, k, &x), tensor(&Device::Cpu, rows, n, &dy));
        gradients(&x, &dy, &vec![0.0; n * k], &vec![0.0; n]).concat()
    };
    let first = of((40, 70, 33));
    for between in [(7, 3, 5), (600, 33, 70)] {
        of(between);
        assert_same_bits(&format!("after {between:?}"), &of((40, 70, 33)), &first);
    }
}
