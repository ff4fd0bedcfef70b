//! x/√(mean(x²) + ε)·w by row.

use fathom::Device;
use fathom::Device;
use fathom::ops::rms_norm::rms_norm;
use fathom_testkit::{
    compare::assert_near,
    inputs::Inputs,
    reference,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{assert_rows_are_independent, tensor, written};

/// After its sums a result takes 6 roundings: division by the width, sum with ε, root, reciprocal, two products.
#[test]
fn near_float64() {
    let mut inputs = Inputs::new(1);
    for width in WIDTHS {
        let w = inputs.bell(width);
        for rows in ROWS {
            for (scale, shift, eps) in [(1.0, 0.0, 1e-5), (1e-3, 0.0, 1e-6), (100.0, 30.0, 1e-5)] {
                let data: Vec<f32> = inputs.bell(rows * width).iter().map(|x| scale * x + shift).collect();
                let x = tensor(&Device::Cpu, rows, width, &data);
                let got = written(&Device::Cpu, |out| rms_norm(&x, &w, eps, out));
                let exact: Vec<f64> = reference::rms_norm(&data, &w, eps);
                let naive: Vec<f32> = reference::rms_norm(&data, &w, eps);
                assert_near(&format!("[{rows}, {width}]·{scale} + {shift}"), got.data(), &naive, &exact, 6);
            }
        }
    }
}

/// Powers of two keep every step exact: the channels ±c with ε = 0 have root mean square c.
#[test]
fn exact_on_powers_of_two() {
    for width in [1, 2, 4, 32, 64, 128] {
        let data: Vec<f32> = (0..width).map(|i| if i % 3 == 0 { 8.0 } else { -8.0 }).collect();
        let w: Vec<f32> = (0..width).map(|i| i as f32 + 1.0).collect();
        let got = written(&Device::Cpu, |out| rms_norm(&tensor(&Device::Cpu, 1, width, &data), &w, 0.0, out));
        let expected: Vec<f32> = data.iter().zip(&w).map(|(x, w)| x / 8.0 * w).collect();
        assert_eq!(got.data(), expected, "{width} channels");
    }
}

/// ε keeps a row of zeros at zero.
#[test]
fn zeros_stay_zeros() {
    let got = written(&Device::Cpu, |out| {
        rms_norm(&tensor(&Device::Cpu, 1, 48, &[0.0; 48]), &[2.0; 48], 1e-6, out)
    });
    assert_eq!(got.data(), [0.0; 48]);
}

#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(3);
    for width in [33, 96, 768] {
        let (x, w) = (inputs.bell(97 * width), inputs.bell(width));
        assert_rows_are_independent(&format!("{width} channels"), &Device::Cpu, &x, width, |x| {
            written(&Device::Cpu, |out| rms_norm(&x, &w, 1e-6, out)).into_data().unwrap()
        });
    }
}
