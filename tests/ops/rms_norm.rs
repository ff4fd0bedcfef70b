//! x/√(mean(x²) + ε)·w by row.

use fathom::ops::rms_norm::{double_norm, rms_norm, rms_norm_in_place};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{added, assert_rows_are_independent, devices, tensor, vector, written};

/// After its sums a result takes 6 roundings: division by the width, sum with ε, root, reciprocal, two products.
#[test]
fn near_float64() {
    for device in devices() {
        let mut inputs = Inputs::new(1);
        for width in WIDTHS {
            let w = inputs.bell(width);
            let weight = vector(&device, &w);
            for rows in ROWS {
                for (scale, shift, eps) in [(1.0, 0.0, 1e-5), (1e-3, 0.0, 1e-6), (100.0, 30.0, 1e-5)] {
                    let data: Vec<f32> =
                        inputs.bell(rows * width).iter().map(|x| scale * x + shift).collect();
                    let x = tensor(&device, rows, width, &data);
                    let got = written(&device, |out| rms_norm(&x, &weight, eps, out));
                    let exact: Vec<f64> = reference::rms_norm(&data, &w, eps);
                    let naive: Vec<f32> = reference::rms_norm(&data, &w, eps);
                    let context = format!("{device} [{rows}, {width}]·{scale} + {shift}");
                    assert_near(&context, got.data(), &naive, &exact, 6);
                }
            }
        }
    }
}

/// Powers of two keep every step exact: the channels ±c with ε = 0 have root mean square c.
#[test]
fn exact_on_powers_of_two() {
    for device in devices() {
        for width in [1, 2, 4, 32, 64, 128] {
            let data: Vec<f32> = (0..width).map(|i| if i % 3 == 0 { 8.0 } else { -8.0 }).collect();
            let w: Vec<f32> = (0..width).map(|i| i as f32 + 1.0).collect();
            let (x, weight) = (tensor(&device, 1, width, &data), vector(&device, &w));
            let got = written(&device, |out| rms_norm(&x, &weight, 0.0, out));
            let expected: Vec<f32> = data.iter().zip(&w).map(|(x, w)| x / 8.0 * w).collect();
            assert_eq!(got.data(), expected, "{device}, {width} channels");
        }
    }
}

/// ε keeps a row of zeros at zero.
#[test]
fn zeros_stay_zeros() {
    for device in devices() {
        let (x, weight) = (tensor(&device, 1, 48, &[0.0; 48]), vector(&device, &[2.0; 48]));
        let got = written(&device, |out| rms_norm(&x, &weight, 1e-6, out));
        assert_eq!(got.data(), [0.0; 48], "{device}");
    }
}

#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(3);
    for width in [33, 96, 768] {
        let (x, w) = (inputs.bell(97 * width), inputs.bell(width));
        for device in devices() {
            let weight = vector(&device, &w);
            assert_rows_are_independent(&format!("{device}, {width} channels"), &device, &x, width, |x| {
                written(&device, |out| rms_norm(&x, &weight, 1e-6, out)).into_data().unwrap()
            });
        }
    }
}

/// The double norm is one norm after the other, and a norm in place is the norm, to the bit.
#[test]
fn double_norm_is_two_norms() {
    let mut inputs = Inputs::new(4);
    for width in WIDTHS {
        let (x, v, w) = (inputs.bell(3 * width), inputs.bell(width), inputs.bell(width));
        for device in devices() {
            let (v, w) = (vector(&device, &v), vector(&device, &w));
            let rows = tensor(&device, 3, width, &x);
            let first = written(&device, |out| rms_norm(&rows, &v, 1e-5, out));
            let again = tensor(&device, 3, width, first.data());
            let second = written(&device, |out| rms_norm(&again, &w, 1e-5, out));
            let mut normed = fathom::Tensor::empty(&device);
            let stream = added(&device, 3, width, &x, |x| double_norm(x, [&v, &w], 1e-5, &mut normed));
            assert_same_bits(&format!("{device}, first of {width}"), stream.data(), first.data());
            let mut aside = fathom::Tensor::empty(&device);
            let alone = added(&device, 3, width, &x, |x| rms_norm_in_place(x, &v, 1e-5, &mut aside));
            assert_same_bits(&format!("{device}, in place {width}"), alone.data(), first.data());
            let normed = normed.to_vec().unwrap();
            assert_same_bits(&format!("{device}, second of {width}"), &normed, second.data());
        }
    }
}
