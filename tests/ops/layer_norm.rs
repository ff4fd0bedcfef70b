//! (x − mean)/√(var + ε)·w + b by row.

use fathom::ops::layer_norm::layer_norm;
use fathom_testkit::{
    compare::assert_near,
    inputs::Inputs,
    reference,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{assert_rows_are_independent, devices, tensor, vector, written};

/// After its sums a result takes 7 roundings: subtraction, root, reciprocal, two products, the bias, and the mean that the subtraction magnifies.
#[test]
fn near_float64() {
    for device in devices() {
        let mut inputs = Inputs::new(1);
        for width in WIDTHS {
            let (w, b) = (inputs.bell(width), inputs.bell(width));
            let (weight, bias) = (vector(&device, &w), vector(&device, &b));
            for rows in ROWS {
                for (scale, shift, eps) in [(1.0, 0.0, 1e-5), (1e-3, 0.0, 1e-6), (100.0, 30.0, 1e-5)] {
                    let data: Vec<f32> =
                        inputs.bell(rows * width).iter().map(|x| scale * x + shift).collect();
                    let x = tensor(&device, rows, width, &data);
                    let got = written(&device, |out| layer_norm(&x, &weight, &bias, eps, out));
                    let exact: Vec<f64> = reference::layer_norm(&data, &w, &b, eps);
                    let naive: Vec<f32> = reference::layer_norm(&data, &w, &b, eps);
                    let context = format!("{device} [{rows}, {width}]·{scale} + {shift}");
                    assert_near(&context, got.data(), &naive, &exact, 7);
                }
            }
        }
    }
}

/// Powers of two keep every step exact: the channels ±c with ε = 0 have mean 0 and deviation c.
#[test]
fn exact_on_powers_of_two() {
    for device in devices() {
        for width in [2, 4, 32, 64, 128] {
            let data: Vec<f32> = (0..width).map(|i| if i % 2 == 0 { 4.0 } else { -4.0 }).collect();
            let (w, b): (Vec<f32>, Vec<f32>) = (0..width).map(|i| (i as f32 + 1.0, 0.5 - i as f32)).unzip();
            let (weight, bias) = (vector(&device, &w), vector(&device, &b));
            let x = tensor(&device, 1, width, &data);
            let got = written(&device, |out| layer_norm(&x, &weight, &bias, 0.0, out));
            let expected: Vec<f32> = (0..width).map(|i| data[i] / 4.0 * w[i] + b[i]).collect();
            assert_eq!(got.data(), expected, "{device}, {width} channels");
        }
    }
}

/// A row without spread is its bias, not NaN.
#[test]
fn constant_rows_become_the_bias() {
    let b: Vec<f32> = Inputs::new(2).bell(48);
    for device in devices() {
        let (x, weight) = (tensor(&device, 1, 48, &[3.0; 48]), vector(&device, &[2.0; 48]));
        let bias = vector(&device, &b);
        let got = written(&device, |out| layer_norm(&x, &weight, &bias, 1e-5, out));
        assert_eq!(got.data(), b, "{device}");
    }
}

#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(3);
    for width in [33, 96, 768] {
        let (x, w, b) = (inputs.bell(97 * width), inputs.bell(width), inputs.bell(width));
        for device in devices() {
            let (weight, bias) = (vector(&device, &w), vector(&device, &b));
            assert_rows_are_independent(&format!("{device}, {width} channels"), &device, &x, width, |x| {
                written(&device, |out| layer_norm(&x, &weight, &bias, 1e-5, out)).into_data().unwrap()
            });
        }
    }
}
