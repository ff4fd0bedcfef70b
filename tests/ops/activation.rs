//! Activations by themselves, and their slopes.

use fathom::{
    DType, Tensor,
    ops::{
        activation::{
            Activation, activation, activation_backward, linear_activation, linear_activation_backward,
        },
        linear::{Epilogue, linear},
    },
};
use fathom_testkit::{
    compare::{assert_near, assert_same_bits},
    inputs::Inputs,
    reference::{self, Real},
};

use crate::common::{devices, on_any_pool, tensor, weight, written};

const KINDS: [Activation; 3] = [Activation::GeluTanh, Activation::GeluErf, Activation::SwiGlu];

/// Rows and results a row; the last are more than a task takes.
const SHAPES: [(usize, usize); 7] = [(0, 3), (1, 1), (1, 33), (3, 31), (13, 64), (97, 5), (71, 300)];

/// From far below to far above the bend.
fn inputs(seed: u64, count: usize) -> Vec<f32> {
    Inputs::new(seed).bell(count).iter().map(|x| 2.5 * x).collect()
}

/// What an epilogue makes of a product is what the operation makes of the product, bit for bit.
#[test]
fn epilogues_do_the_same() {
    let (rows, k, n) = (13, 17, 66);
    for device in &devices() {
        let x = tensor(device, rows, k, &inputs(1, rows * k));
        let w = weight(device, DType::F32, k, n, &inputs(2, k * n));
        let product = written(device, |out| linear(&x, &w, None, Epilogue::None, out));
        let product = tensor(device, rows, n, product.data());
        for (kind, epilogue) in
            KINDS.into_iter().zip([Epilogue::GeluTanh, Epilogue::GeluErf, Epilogue::SwiGlu])
        {
            let fused = written(device, |out| linear(&x, &w, None, epilogue, out));
            let apart = written(device, |out| activation(kind, &product, out));
            assert_same_bits(&format!("{device} {kind:?}"), apart.data(), fused.data());
        }
    }
}

/// A product and its activation in one are the two one after the other, bit for bit, forwards and back.
#[test]
fn products_with_activations_are_the_two_in_turn() {
    for (rows, k, n) in [(1, 5, 2), (13, 17, 66), (130, 40, 96)] {
        for device in &devices() {
            let w = weight(device, DType::F32, k, n, &inputs(6, k * n));
            let [x, b] = [(rows, k), (1, n)]
                .map(|(rows, width)| tensor(device, rows, width, &inputs(rows as u64, rows * width)));
            for kind in KINDS {
                let context = format!("{device} {kind:?} {rows}, {k}, {n}");
                let product = written(device, |out| linear(&x, &w, Some(&b), Epilogue::None, out));
                let product = tensor(device, rows, n, product.data());
                let apart = written(device, |out| activation(kind, &product, out));
                let fused = on_any_pool(&context, || {
                    let up = written(device, |up| {
                        linear_activation(&x, &w, Some(&b), kind, up, &mut Tensor::empty(device))
                    });
                    assert_same_bits(&context, &product.to_vec().unwrap(), up.data());
                    let hidden = |out: &mut Tensor| {
                        linear_activation(&x, &w, Some(&b), kind, &mut Tensor::empty(device), out)
                    };
                    written(device, hidden).into_data().unwrap()
                });
                assert_same_bits(&context, apart.data(), &fused);

                let up = tensor(device, rows, n * kind.inputs(), &inputs(8, rows * n * kind.inputs()));
                let dhidden = written(device, |out| linear(&x, &w, None, Epilogue::None, out));
                let dhidden = tensor(device, rows, n, dhidden.data());
                let apart = written(device, |out| activation_backward(kind, &up, &dhidden, out));
                let fused = on_any_pool(&context, || {
                    let dup = |dup: &mut Tensor| linear_activation_backward(&x, &w, kind, &up, dup);
                    written(device, dup).into_data().unwrap()
                });
                assert_same_bits(&context, apart.data(), &fused);
            }
        }
    }
}

fn slopes<R: Real>(kind: Activation, x: &[f32], dy: &[f32]) -> Vec<R> {
    let wide = |x: f32| R::of(f64::from(x));
    match kind {
        Activation::SwiGlu => {
            let pairs = x.chunks(2).zip(dy);
            let slopes = |(pair, &dy): (&[f32], &f32)| {
                reference::swiglu_slopes(wide(pair[0]), wide(pair[1])).map(|slope| wide(dy) * slope)
            };
            pairs.flat_map(slopes).collect()
        }
        _ => {
            let slope = |x| match kind {
                Activation::GeluTanh => reference::gelu_tanh_slope(x),
                _ => reference::gelu_erf_slope(x),
            };
            x.iter().zip(dy).map(|(&x, &dy)| wide(dy) * slope(wide(x))).collect()
        }
    }
}

/// A slope takes at most ten steps, functions within 2 ulp counted twice.
#[test]
fn gradients_near_float64() {
    for (index, kind) in KINDS.into_iter().enumerate() {
        for (rows, width) in SHAPES {
            let (x, dy) = (inputs(3, rows * width * kind.inputs()), Inputs::new(4).bell(rows * width));
            for device in devices() {
                let (xs, dys) =
                    (tensor(&device, rows, width * kind.inputs(), &x), tensor(&device, rows, width, &dy));
                let context = format!("{device} {kind:?} [{rows}, {width}], {index}");
                let got = on_any_pool(&context, || {
                    written(&device, |dx| activation_backward(kind, &xs, &dys, dx)).into_data().unwrap()
                });
                assert_near(&context, &got, &slopes::<f32>(kind, &x, &dy), &slopes::<f64>(kind, &x, &dy), 10);
            }
        }
    }
}

/// Far from zero the slopes are 0 and 1, or gate and up themselves, without overflow on the way.
#[test]
fn slopes_saturate() {
    let x = [-1e4, -200.0, 200.0, 1e4];
    for device in &devices() {
        let ones = tensor(device, 1, 4, &[1.0; 4]);
        for kind in [Activation::GeluTanh, Activation::GeluErf] {
            let x = tensor(device, 1, 4, &x);
            let got = written(device, |dx| activation_backward(kind, &x, &ones, dx));
            assert_eq!(got.data(), [0.0, 0.0, 1.0, 1.0], "{device} {kind:?}");
        }
        let pairs = tensor(device, 1, 8, &x.map(|x| [x, 3.0]).concat());
        let got = written(device, |dx| activation_backward(Activation::SwiGlu, &pairs, &ones, dx));
        assert_eq!(got.data(), [0.0, 0.0, 0.0, 0.0, 3.0, 200.0, 3.0, 1e4], "{device}");
    }
}
