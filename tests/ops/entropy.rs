//! Entropy of a row's distribution, and its divergence from the row before.

use fathom::ops::entropy::entropy;
use fathom_testkit::{compare::assert_near, inputs::Inputs, reference};

use crate::common::{assert_rows_are_independent, devices, tensor, written};

const VOCABULARIES: [usize; 6] = [1, 2, 3, 33, 1000, 4101];

/// Rounding of a logarithm of a probability down to e⁻¹⁶: 16·2⁻²⁴, and some for the exponential beneath it.
const LOGARITHM: f64 = 1.0 / (1u64 << 20) as f64;

/// Largest error of a divergence d whose terms q(eᵘ − 1 − u) come from logarithms u that err by ε: |u| is about √(2d) and a
/// term's slope |eᵘ − 1|, so ε·√(2d), and ε² where nothing is left of u; past d = 1 the terms are q·u themselves.
fn divergence_error(exact: f64) -> f64 {
    LOGARITHM * ((2.0 * exact).sqrt() + LOGARITHM + exact)
}

/// Rows far from the one before, close, equal and nearly equal, peaked and flat. A term of the entropy takes two
/// logarithms' and four other roundings.
#[test]
fn near_float64() {
    let mut inputs = Inputs::new(1);
    for width in VOCABULARIES {
        for spread in [0.1, 1.0, 5.0, 20.0] {
            let logits: Vec<f32> = inputs.bell(4 * width).iter().map(|x| spread * x).collect();
            let moved = inputs.bell(4 * width);
            let before: Vec<f32> = (0..4 * width)
                .map(|i| match i / width {
                    0 => spread * moved[i],
                    row => logits[i] + [3e-3, 0.0, 1e-4][row - 1] * moved[i],
                })
                .collect();
            for (min_p, after) in [(0.0, true), (0.1, true), (0.0, false), (0.1, false)] {
                let row = |row: usize| {
                    let of = row * width..(row + 1) * width;
                    (&logits[of.clone()], after.then_some(&before[of]))
                };
                let exact: Vec<[f64; 2]> =
                    (0..4).map(|i| reference::entropy(row(i).0, row(i).1, min_p)).collect();
                let naive: Vec<[f32; 2]> =
                    (0..4).map(|i| reference::entropy(row(i).0, row(i).1, min_p)).collect();
                for device in devices() {
                    let context =
                        format!("{device}, {width} logits of {spread}, min_p {min_p}, after {after}");
                    let now = tensor(&device, 4, width, &logits);
                    let was = after.then(|| tensor(&device, 4, width, &before));
                    let got = written(&device, |out| entropy(&now, was.as_ref(), min_p, out));
                    assert_eq!((got.rows(), got.width()), (4, 2));
                    for (row, [information, apart]) in exact.iter().enumerate() {
                        let got = got.row(row);
                        assert_near(&context, &got[..1], &naive[row][..1], &[*information], 6);
                        let error = (f64::from(got[1]) - apart).abs();
                        let allowed = divergence_error(apart.max(0.0));
                        assert!(error <= allowed, "{context}, row {row}: {} for {apart:e}", got[1]);
                    }
                }
            }
        }
    }
}

/// Four even chances of eight logits, the others impossible: ln 4, and ln 2 from the uniform distribution's point of view of
/// two from four.
#[test]
fn known_values() {
    let never = f32::NEG_INFINITY;
    let four = [2.0, never, 2.0, 2.0, never, 2.0, never, never];
    let two = [0.0, never, 0.0, never, never, never, never, never];
    for device in devices() {
        let (p, q) = (tensor(&device, 1, 8, &four), tensor(&device, 1, 8, &two));
        let got = written(&device, |out| entropy(&p, Some(&q), 0.0, out));
        let expected = [4f32.ln(), 2f32.ln()];
        assert!(got.data().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{device}: {got:?}");
        let got = written(&device, |out| entropy(&p, None, 0.0, out));
        assert_eq!(got.data()[1], f32::INFINITY, "{device}: what was likely has become impossible");
    }
}

#[test]
fn rows_are_independent() {
    let mut inputs = Inputs::new(2);
    for width in [33, 1000] {
        let logits = inputs.bell(29 * width);
        for device in devices() {
            let context = format!("{device}, {width} logits");
            assert_rows_are_independent(&context, &device, &logits, width, |x| {
                let before: Vec<f32> = x.to_vec().unwrap().iter().map(|x| 0.5 - x * x).collect();
                let before = tensor(&device, x.rows(), width, &before);
                written(&device, |out| entropy(&x, Some(&before), 0.1, out)).into_data().unwrap()
            });
        }
    }
}
