//! Huginn's adapter, alone and with the noise that perturbs its state.

use std::{cell::LazyCell, hint::black_box};

use fathom::{Perturb, ops::adapter::adapter, random::Site};

use crate::{
    harness::{
        data::Copies,
        network::HUGINN,
        suite::{DTYPES, Suite, Work},
    },
    linear::ROWS,
    perturb::coordinates,
};

pub(crate) fn bench(suite: &mut Suite) {
    let width = HUGINN.width;
    for dtype in DTYPES {
        suite.group("adapter", dtype, |place, group| {
            let weights = LazyCell::new(|| place.copies(width, width));
            let weights = &weights;
            for noise in [false, true] {
                for m in ROWS {
                    let bytes = width * width * dtype.bytes() + 4 * 3 * m * width;
                    let work = Work { dtype, flop: 2 * m * width * width, bytes };
                    let with = if noise { ", noise" } else { "" };
                    group.case(format!("{width}→{width}, M = {m}{with}"), work, || {
                        let weights: &Copies = weights;
                        let (mut state, injected) = (place.tensor(m, width), place.tensor(m, width));
                        let (rows, mut out) = (coordinates(m), place.empty());
                        move || {
                            let perturbation = match noise {
                                true => Perturb::Noise { std: 1e-3, site: Site::Latent, rows: &rows },
                                false => Perturb::None,
                            };
                            let state = black_box(&mut state);
                            adapter(state, weights.next(), &injected, perturbation, &mut out)
                                .expect("shapes fit");
                        }
                    });
                }
            }
        });
    }
}
