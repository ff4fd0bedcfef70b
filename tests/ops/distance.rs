//! ‖x − y‖, ‖x‖, ‖y‖ and x·y by row.

use fathom::{Tensor, ops::distance::distance};
use fathom_testkit::{
    compare::assert_near,
    inputs::Inputs,
    reference,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{assert_rows_are_independent, devices, tensor, written};

fn columns(x: &Tensor) -> [Vec<f32>; 4] {
    std::array::from_fn(|column| x.data().iter().skip(column).step_by(4).copied().collect())
}

/// Sums of squares of small integers are exact, and a root rounds once.
#[test]
fn exact_on_integers() {
    let mut inputs = Inputs::new(1);
    for width in WIDTHS {
        for rows in ROWS {
            let (x, y) = (inputs.integers(rows * width, 50), inputs.integers(rows * width, 50));
            let exact = reference::distance::<f32>(&x, &y, width).concat();
            for device in devices() {
                let (x, y) = (tensor(&device, rows, width, &x), tensor(&device, rows, width, &y));
                let got = written(&device, |out| distance(&x, &y, out));
                assert_eq!((got.rows(), got.width()), (rows, 4));
                assert_eq!(got.data(), exact, "{device} [{rows}, {width}]");
            }
        }
    }
}

/// States far apart and close together; a result takes a root after its sum.
#[test]
fn near_float64() {
    let mut inputs = Inputs::new(2);
    for width in WIDTHS.into_iter().chain([5280]) {
        for apart in [1.0, 1e-3] {
            let x = inputs.bell(5 * width);
            let y: Vec<f32> = x.iter().zip(inputs.bell(5 * width)).map(|(x, d)| x + apart * d).collect();
            let exact = reference::distance::<f64>(&x, &y, width);
            let naive = reference::distance::<f32>(&x, &y, width);
            for device in devices() {
                let (x, y) = (tensor(&device, 5, width, &x), tensor(&device, 5, width, &y));
                let got = columns(&written(&device, |out| distance(&x, &y, out)));
                for (column, got) in got.iter().enumerate() {
                    let exact: Vec<f64> = exact.iter().map(|row| row[column]).collect();
                    let naive: Vec<f32> = naive.iter().map(|row| row[column]).collect();
                    let context = format!("{device}, {width} channels {apart} apart, column {column}");
                    assert_near(&context, got, &naive, &exact, 1);
                }
            }
        }
    }
}

#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(3);
    for width in [33, 96, 768] {
        let x = inputs.bell(97 * width);
        for device in devices() {
            let context = format!("{device}, {width} channels");
            assert_rows_are_independent(&context, &device, &x, width, |x| {
                let other: Vec<f32> = x.to_vec().unwrap().iter().map(|x| 0.5 - x * x).collect();
                let other = tensor(&device, x.rows(), width, &other);
                written(&device, |out| distance(&x, &other, out)).into_data().unwrap()
            });
        }
    }
}
