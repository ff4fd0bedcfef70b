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

/// Columns of all rows, and put in their place again; clones keep what they had.
#[test]
fn columns_are_copied() {
    let mut inputs = Inputs::new(3);
    for (rows, width, columns) in
        [(0, 5, 1..3), (1, 1, 0..1), (3, 40, 7..40), (13, 33, 5..5), (70, 129, 0..64)]
    {
        let (data, part) = (inputs.bell(rows * width), inputs.bell(rows * columns.len()));
        let of_row = |row: usize| &data[row * width..][columns.clone()];
        let expected: Vec<f32> = (0..rows).flat_map(of_row).copied().collect();
        for device in devices() {
            let context = format!("{device} {columns:?} of [{rows}, {width}]");
            let mut x = tensor(&device, rows, width, &data);
            let got = written(&device, |out| x.columns(columns.clone(), out));
            assert_same_bits(&context, got.data(), &expected);
            let before = x.clone();
            x.put_columns(columns.start, &tensor(&device, rows, columns.len(), &part)).unwrap();
            let mut replaced = data.clone();
            for row in 0..rows {
                let from = &part[row * columns.len()..(row + 1) * columns.len()];
                replaced[row * width..][columns.clone()].copy_from_slice(from);
            }
            assert_same_bits(&context, &x.to_vec().unwrap(), &replaced);
            assert_same_bits(&context, &before.to_vec().unwrap(), &data);
        }
    }
}

/// Zeros, whatever was there, and not in clones.
#[test]
fn clears() {
    for (rows, width) in [(0, 3), (3, 0), (1, 1), (7, 33), (2, 2100)] {
        let data = Inputs::new(4).bell(rows * width);
        for device in devices() {
            let mut x = tensor(&device, rows, width, &data);
            let before = x.clone();
            x.clear().unwrap();
            let zeros = vec![0.0; rows * width];
            assert_same_bits(&format!("{device} [{rows}, {width}]"), &x.to_vec().unwrap(), &zeros);
            assert_same_bits(&format!("{device}, a clone"), &before.to_vec().unwrap(), &data);
            let fresh = Tensor::zeros(&device, rows, width).unwrap();
            assert_same_bits(&format!("{device}, new"), &fresh.to_vec().unwrap(), &zeros);
        }
    }
}
