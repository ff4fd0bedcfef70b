//! Cosines of all pairs of rows.

use fathom::ops::cosine::cosine;
use fathom_testkit::{compare::assert_near, compare::assert_same_bits, inputs::Inputs, reference};

use crate::common::{devices, tensor, written};

/// [rows, width]: single ones, and below, at and past a tile of 16 rows and 64 channels.
const SHAPES: [(usize, usize); 9] =
    [(1, 1), (2, 3), (5, 33), (16, 64), (17, 65), (40, 111), (3, 768), (33, 130), (2, 5280)];

/// After its sums a cosine takes four roundings: two roots, their product and a quotient. A zero row has cosine 0 with all.
#[test]
fn near_float64() {
    let mut inputs = Inputs::new(1);
    for (rows, width) in SHAPES {
        let mut x = inputs.bell(rows * width);
        if rows > 2 {
            x[2 * width..3 * width].fill(0.0);
        }
        let exact: Vec<f64> = reference::cosine(&x, width);
        let naive: Vec<f32> = reference::cosine(&x, width);
        for device in devices() {
            let x = tensor(&device, rows, width, &x);
            let got = written(&device, |out| cosine(&x, out));
            let context = format!("{device} [{rows}, {width}]");
            assert_eq!((got.rows(), got.width()), (rows, rows));
            assert_near(&context, got.data(), &naive, &exact, 4);
            for (i, j) in (0..rows).flat_map(|i| (0..rows).map(move |j| (i, j))) {
                assert_eq!(got.row(i)[j].to_bits(), got.row(j)[i].to_bits(), "{context}: pair ({i}, {j})");
            }
            assert!(rows <= 2 || got.row(2).iter().all(|&x| x == 0.0), "{context}: a zero row");
        }
    }
}

/// Rows along axes, in lengths that are powers of two: 1, 0 and −1.
#[test]
fn exact_on_axes() {
    for device in devices() {
        let width = 70;
        let mut x = vec![0.0; 4 * width];
        for (row, (axis, length)) in [(3, 2.0), (69, 0.5), (3, -8.0), (69, 4.0)].into_iter().enumerate() {
            x[row * width + axis] = length;
        }
        let got = written(&device, |out| cosine(&tensor(&device, 4, width, &x), out));
        let expected = [1., 0., -1., 0., 0., 1., 0., 1., -1., 0., 1., 0., 0., 1., 0., 1.];
        assert_eq!(got.data(), expected, "{device}");
    }
}

/// A pair has the same cosine alone as anywhere among others.
#[test]
fn pairs_are_independent() {
    let (rows, width) = (37, 97);
    let x = Inputs::new(2).bell(rows * width);
    for device in devices() {
        let all = written(&device, |out| cosine(&tensor(&device, rows, width, &x), out));
        for (i, j) in [(0, 1), (3, 36), (20, 16), (36, 35)] {
            let pair = [&x[i * width..(i + 1) * width], &x[j * width..(j + 1) * width]].concat();
            let got = written(&device, |out| cosine(&tensor(&device, 2, width, &pair), out));
            let expected = [all.row(i)[i], all.row(i)[j], all.row(j)[i], all.row(j)[j]];
            assert_same_bits(&format!("{device}, pair ({i}, {j})"), got.data(), &expected);
        }
    }
}

#[test]
fn no_rows_give_no_pairs() {
    for device in devices() {
        let got = written(&device, |out| cosine(&tensor(&device, 0, 5, &[]), out));
        assert_eq!((got.rows(), got.width()), (0, 0), "{device}");
    }
}
