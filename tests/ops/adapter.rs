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

use crate::common::{DTYPES, assert_rows_are_independent, coordinates, tensor, weight, written};

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
            for dtype in DTYPES {
                let w = weight(&Device::Cpu, dtype, k, n, &w);
                let (state, injected) =
                    (tensor(&Device::Cpu, rows, k, &state), tensor(&Device::Cpu, rows, n, &injected));
                let got = written(&Device::Cpu, |out| {
                    adapter(&mut state.clone(), &w, &injected, Perturb::None, out)
                });
                assert_eq!(got.data(), expected, "{dtype} [{rows}, {k}]·[{k}, {n}]");
            }
        }
    }
}

/// The state alone is perturbed, before the product, and stays so; what is injected passes untouched.
#[test]
fn perturbs_the_state_first() {
    let (rows, h) = (13, 48);
    let mut inputs = Inputs::new(2);
    let (state, w, injected) = (inputs.bell(rows * h), inputs.bell(h * h), inputs.bell(rows * h));
    let at = coordinates(rows);
    let forms = [
        Perturb::Noise { std: 0.5, site: Site::Latent, rows: &at },
        Perturb::Dropout { keep: Keep::new(0.25), site: Site::Latent, rows: &at },
    ];
    for dtype in DTYPES {
        let w = weight(&Device::Cpu, dtype, h, h, &w);
        for form in forms {
            let mut perturbed = tensor(&Device::Cpu, rows, h, &state);
            perturb(&mut perturbed, form).unwrap();
            assert_ne!(perturbed.data(), state);
            let product = written(&Device::Cpu, |out| linear(&perturbed, &w, None, Epilogue::None, out));
            let expected: Vec<f32> = product.data().iter().zip(&injected).map(|(y, e)| e + y).collect();
            let got = written(&Device::Cpu, |out| {
                let mut state = tensor(&Device::Cpu, rows, h, &state);
                adapter(&mut state, &w, &tensor(&Device::Cpu, rows, h, &injected), form, out)?;
                assert_same_bits(&format!("state, {dtype} {form:?}"), state.data(), perturbed.data());
                Ok(())
            });
            assert_same_bits(&format!("{dtype} {form:?}"), got.data(), &expected);
        }
    }
}

#[test]
fn rows_are_independent() {
    let (rows, h) = (97, 64);
    let mut inputs = Inputs::new(3);
    let (state, w) = (inputs.bell(rows * h), inputs.bell(h * h));
    for dtype in DTYPES {
        let w = weight(&Device::Cpu, dtype, h, h, &w);
        assert_rows_are_independent(&format!("{dtype}"), &Device::Cpu, &state, h, |state| {
            // What is injected follows from the row's own state, so that it moves with the row.
            let run = |out: &mut _| adapter(&mut state.clone(), &w, &state, Perturb::None, out);
            written(&Device::Cpu, run).into_data().unwrap()
        });
    }
}
