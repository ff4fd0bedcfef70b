//! Gradients of LayerNorm and RMSNorm.

use fathom::{
    Device, Tensor,
    ops::{layer_norm::layer_norm_backward, rms_norm::rms_norm_backward},
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference,
    shapes::{ROWS, WIDTHS},
};

use crate::common::{devices, on_any_pool, poisoned_tensor, tensor, vector};

struct Case {
    x: Vec<f32>,
    dy: Vec<f32>,
    weight: Vec<f32>,
    /// What the gradients of weight and bias are added to.
    start: [Vec<f32>; 2],
}

impl Case {
    fn new(rows: usize, width: usize, scale: f32, shift: f32) -> Self {
        let mut inputs = Inputs::new((rows * 1000 + width) as u64);
        let x = inputs.bell(rows * width).iter().map(|x| scale * x + shift).collect();
        let (dy, weight) = (inputs.bell(rows * width), inputs.bell(width));
        Self { x, dy, weight, start: [inputs.bell(width), inputs.bell(width)] }
    }

    /// The largest |dy·w| over its row's deviation.
    fn largest_term(&self, layer: bool, eps: f32) -> f64 {
        let width = self.weight.len();
        let row = |(x, dy): (&[f32], &[f32])| {
            let mean = |x: &mut dyn Iterator<Item = f64>| x.sum::<f64>() / width as f64;
            let shift = if layer { mean(&mut x.iter().map(|&x| f64::from(x))) } else { 0.0 };
            let square = mean(&mut x.iter().map(|&x| (f64::from(x) - shift).powi(2)));
            let largest = dy.iter().zip(&self.weight).fold(0.0f32, |most, (dy, w)| most.max((dy * w).abs()));
            f64::from(largest) / (square + f64::from(eps)).sqrt()
        };
        self.x.chunks(width).zip(self.dy.chunks(width)).map(row).fold(0.0, f64::max)
    }

    /// dx, dw and db; RMSNorm has no bias.
    fn gradients(&self, device: &Device, layer: bool, eps: f32) -> [Vec<f32>; 3] {
        let Self { x, dy, weight, start } = self;
        let width = weight.len();
        let rows = x.len() / width;
        let (x, dy) = (tensor(device, rows, width, x), tensor(device, rows, width, dy));
        let (weight, [mut dw, mut db]) =
            (vector(device, weight), start.clone().map(|start| vector(device, &start)));
        let mut dx = poisoned_tensor(device, rows, width);
        match layer {
            true => layer_norm_backward(&x, &weight, eps, &dy, &mut dx, &mut dw, &mut db),
            false => rms_norm_backward(&x, &weight, eps, &dy, &mut dx, &mut dw),
        }
        .unwrap();
        assert_eq!((dx.rows(), dx.width()), (rows, width));
        [dx, dw, db].map(|x: Tensor| x.into_data().unwrap())
    }
}

/// After its sums an element of dx takes 12 steps: those of the forward's normalised channel, and as many again in the
/// difference; sums over rows take one, and the addition to what was there.
#[test]
fn near_float64_on_any_pool() {
    for width in WIDTHS {
        for rows in ROWS.into_iter().chain([0, 64, 65]) {
            for (scale, shift, eps) in [(1.0, 0.0, 1e-5), (1e-3, 0.0, 1e-6), (30.0, 10.0, 1e-5)] {
                let case = Case::new(rows, width, scale, shift);
                let Case { x, dy, weight, start } = &case;
                let plus_f64 = |sums: Vec<f64>, at: usize| {
                    sums.iter().zip(&start[at]).map(|(a, &b)| a + f64::from(b)).collect::<Vec<_>>()
                };
                let plus_f32 = |sums: Vec<f32>, at: usize| {
                    sums.iter().zip(&start[at]).map(|(a, b)| a + b).collect::<Vec<_>>()
                };
                let each = devices().into_iter().flat_map(|device| [(device.clone(), true), (device, false)]);
                for (device, layer) in each {
                    let context = format!("{device} [{rows}, {width}]·{scale} + {shift}, LayerNorm: {layer}");
                    let all = on_any_pool(&context, || case.gradients(&device, layer, eps).concat());
                    let (dx, rest) = all.split_at(rows * width);
                    let (dw, db) = rest.split_at(width);
                    let (exact, naive) = match layer {
                        true => {
                            let exact: [Vec<f64>; 3] = reference::layer_norm_backward(x, weight, eps, dy);
                            let naive: [Vec<f32>; 3] = reference::layer_norm_backward(x, weight, eps, dy);
                            (exact, naive)
                        }
                        false => {
                            let [dx, dw]: [Vec<f64>; 2] = reference::rms_norm_backward(x, weight, eps, dy);
                            let [nx, nw]: [Vec<f32>; 2] = reference::rms_norm_backward(x, weight, eps, dy);
                            ([dx, dw, vec![0.0; width]], [nx, nw, vec![0.0; width]])
                        }
                    };
                    let ([ex, ew, eb], [nx, nw, nb]) = (exact, naive);
                    // Against the largest of the terms, of which little is left where channels are few.
                    let term = case.largest_term(layer, eps);
                    let with = |dx: &[f32]| [dx, &[term as f32]].concat();
                    assert_near(&context, &with(dx), &with(&nx), &[ex, vec![term]].concat(), 12);
                    // And against what sums are added to, of which they may take most away.
                    for (name, at, got, exact, naive, steps) in
                        [("dw", 0, dw, ew, nw, 8), ("db", 1, db, eb, nb, 2)]
                    {
                        let zeros = vec![0.0; width];
                        let exact = [plus_f64(exact, at), plus_f64(vec![0.0; width], at)].concat();
                        let naive = [plus_f32(naive, at), plus_f32(zeros, at)].concat();
                        let got = [got, &start[at]].concat();
                        assert_near(&format!("{context}, {name}"), &got, &naive, &exact, steps);
                    }
                }
            }
        }
    }
}

/// A row's dx does not depend on the rows beside it.
#[test]
fn rows_are_independent() {
    for width in [33, 96] {
        let case = Case::new(70, width, 1.0, 0.0);
        let each = devices().into_iter().flat_map(|device| [(device.clone(), true), (device, false)]);
        for (device, layer) in each {
            let [all, ..] = case.gradients(&device, layer, 1e-5);
            for row in [0, 5, 63, 64, 69] {
                let of = row * width..(row + 1) * width;
                let alone = Case {
                    x: case.x[of.clone()].to_vec(),
                    dy: case.dy[of.clone()].to_vec(),
                    weight: case.weight.clone(),
                    start: case.start.clone(),
                };
                let [dx, ..] = alone.gradients(&device, layer, 1e-5);
                assert_same_bits(&format!("row {row} of {width}, LayerNorm: {layer}"), &dx, &all[of]);
            }
        }
    }
}
