//! Rows of tensors, compacted.

use fathom::Tensor;
use fathom_testkit::{
    compare::assert_same_bits,
    inputs::Inputs,
    reference::rounded_to_bf16,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{DTYPES, devices, tensor, written};

/// Rows in any order and more than once, from two tensors, bit for bit.
#[test]
fn rows_are_copied() {
    let mut inputs = Inputs::new(1);
    for width in WIDTHS {
        for rows in ROWS {
            let of = [inputs.bell(rows * width), inputs.bell(3 * width)];
            let chosen: Vec<[usize; 2]> = (0..rows + 2)
                .map(|i| if i % 3 == 1 { [1, i % 3] } else { [0, inputs.below(rows)] })
                .collect();
            let expected: Vec<f32> = chosen
                .iter()
                .flat_map(|&[of_which, row]| &of[of_which][row * width..(row + 1) * width])
                .copied()
                .collect();
            for device in devices() {
                let from = [tensor(&device, rows, width, &of[0]), tensor(&device, 3, width, &of[1])];
                let taken: Vec<(&Tensor, usize)> =
                    chosen.iter().map(|&[of_which, row]| (&from[of_which], row)).collect();
                let got = written(&device, |out| out.gather(&taken));
                assert_eq!((got.rows(), got.width()), (rows + 2, width));
                assert_same_bits(&format!("{device} [{rows}, {width}]"), got.data(), &expected);
            }
        }
    }
}

/// What products read is kept as it is stored.
#[test]
fn operands_are_copied() {
    for width in WIDTHS {
        let data = Inputs::new(2).bell(5 * width);
        for device in devices() {
            for dtype in DTYPES {
                let (mut x, mut out) = (Tensor::operand(&device, dtype), Tensor::operand(&device, dtype));
                x.set(5, width, &data).unwrap();
                x.select(&[4, 0, 4], &mut out).unwrap();
                let stored = x.to_vec().unwrap();
                assert!(stored == data || stored == rounded_to_bf16(&data), "{device} {dtype}");
                let row = |row: usize| stored[row * width..(row + 1) * width].to_vec();
                let expected = [row(4), row(0), row(4)].concat();
                assert_same_bits(&format!("{device} {dtype} {width}"), &out.to_vec().unwrap(), &expected);
            }
        }
    }
}
