//! A tensor times a number.

use fathom::ops::scale::scale;
use fathom_testkit::{
    compare::assert_same_bits,
    inputs::Inputs,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{added, devices};

/// One rounding an element.
#[test]
fn each_element_rounds_once() {
    let mut inputs = Inputs::new(1);
    for width in WIDTHS {
        for rows in ROWS {
            let data = inputs.bell(rows * width);
            let expected: Vec<f32> = data.iter().map(|x| 0.3 * x).collect();
            for device in devices() {
                let got = added(&device, rows, width, &data, |x| scale(x, 0.3));
                assert_same_bits(&format!("{device} [{rows}, {width}]"), got.data(), &expected);
            }
        }
    }
}
