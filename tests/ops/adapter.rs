//! W_s·perturb(s) + W_e·e.

use fathom::{
    Device, Keep, Perturb,
    ops::{
        adapter::adapter,
        linear::{Epilogue, linear},
        perturb::perturb,
    },
    random::Site,
};
use fathom_testkit::{
    compare::assert_same_bits,
    inputs::Inputs,
    reference,
    shapes::{ROWS, WEIGHTS},
};

use crate::common::{assert_rows_are_independent, coordinates, everywhere, tensor, weight, written};

#[test]
fn exact_on_integers() {
    let mut inputs = Inputs::new(1);
    for (k, n) in WEIGHTS {
        let w = inputs.integers(k * n, 7);
        for rows in ROWS {
            let state: Vec<f32> = inputs.integers(rows * k, 7).iter().map(|x| 2.0 * x).collect();
            let injected = inputs.odd_integers(rows * n, 50);
            let product: Vec<f32> = reference::linear(&state, &w, None, k, n);
            let expected: Vec<f32> = product.iter().zip(&injected).map(|(y, e)| y + e).collect();
            for (device, dtype) in everywhere() {
                let w = weight(&device, dtype, k, n, &w);
                let (state, injected) =
                    (tensor(&device, rows, k, &state), tensor(&device, rows, n, &injected));
                let run = |out: &mut _| adapter(&mut state.clone(), &w, &injected, Perturb::None, out);
                assert_eq!(
                    written(&device, run).data(),
                    expected,
                    "{device} {dtype} [{rows}, {k}]·[{k}, {n}]"
                );
            }
        }
    }
}

/// The state alone is perturbed, before the product; what is injected passes untouched.
#[test]
fn perturbs_the_state_first() {
    let mut inputs = Inputs::new(2);
    let at = coordinates(70);
    for (rows, h) in [(13, 48), (1, 131), (70, 67)] {
        let (state, w, injected) = (inputs.bell(rows * h), inputs.bell(h * h), inputs.bell(rows * h));
        let recorded = inputs.bell(rows * h);
        let at = &at[..rows];
        let forms = [
            Perturb::Noise { std: 0.5, site: Site::Latent, rows: at },
            Perturb::Dropout { keep: Keep::new(0.25), site: Site::Latent, rows: at },
            Perturb::Scale(&recorded),
            Perturb::Add(&recorded),
        ];
        for (device, dtype) in everywhere() {
            let w = weight(&device, dtype, h, h, &w);
            let injected_there = tensor(&device, rows, h, &injected);
            for form in forms {
                // The draws are the CPU's, to the bit.
                let mut perturbed = tensor(&Device::Cpu, rows, h, &state);
                perturb(&mut perturbed, form).unwrap();
                assert_ne!(perturbed.data(), state);
                let there = tensor(&device, rows, h, perturbed.data());
                let product = written(&device, |out| linear(&there, &w, None, Epilogue::None, out));
                let expected: Vec<f32> = product.data().iter().zip(&injected).map(|(y, e)| e + y).collect();
                let got = written(&device, |out| {
                    adapter(&mut tensor(&device, rows, h, &state), &w, &injected_there, form, out)
                });
                assert_same_bits(&format!("{device} {dtype} {form:?}"), got.data(), &expected);
            }
        }
    }
}

#[test]
fn rows_are_independent() {
    let (rows, h) = (97, 64);
    let mut inputs = Inputs::new(3);
    let (state, w) = (inputs.bell(rows * h), inputs.bell(h * h));
    for (device, dtype) in everywhere() {
        let w = weight(&device, dtype, h, h, &w);
        assert_rows_are_independent(&format!("{device} {dtype}"), &device, &state, h, |state| {
            // What is injected follows from the row's own state, so that it moves with the row.
            let run = |out: &mut _| adapter(&mut state.clone(), &w, &state, Perturb::None, out);
            written(&device, run).into_data().unwrap()
        });
    }
}

/// A product is launched once, and the state is not copied.
#[test]
fn takes_one_launch() {
    let mut inputs = Inputs::new(4);
    let (state, w) = (inputs.bell(5 * 24), inputs.bell(24 * 24));
    let at = coordinates(5);
    for (device, dtype) in everywhere() {
        if let Device::Gpu(gpu) = &device {
            let (mut state, w) = (tensor(&device, 5, 24, &state), weight(&device, dtype, 24, 24, &w));
            let (injected, mut out) = (state.clone(), fathom::Tensor::empty(&device));
            let before = gpu.launches();
            let noise = Perturb::Noise { std: 0.5, site: Site::Latent, rows: &at };
            adapter(&mut state, &w, &injected, noise, &mut out).unwrap();
            assert_eq!(gpu.launches() - before, 1, "{device} {dtype}");
        }
    }
}
