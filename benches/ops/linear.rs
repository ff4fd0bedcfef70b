//! Matrix products at the shapes of GPT-2 small, each with the epilogue that it has there.

use std::hint::black_box;

use fathom::{
    Perturb, Tensor,
    ops::linear::{Epilogue, linear},
};

use crate::{
    data::{DTYPES, Rotation, tensor, vector},
    suite::{Suite, Work},
};

/// Rows of one trajectory, of few, of many, and of a prompt.
pub(crate) const ROWS: [usize; 4] = [1, 8, 64, 256];

/// Name, k, n, epilogue.
const SHAPES: [(&str, usize, usize, Epilogue<'_>); 4] = [
    ("qkv", 768, 2304, Epilogue::None),
    ("out", 768, 768, Epilogue::Residual(Perturb::None)),
    ("up, GELU", 768, 3072, Epilogue::GeluTanh),
    ("down", 3072, 768, Epilogue::Residual(Perturb::None)),
];

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group(&format!("linear {dtype}"), |group| {
            for (name, k, n, epilogue) in SHAPES {
                for m in ROWS {
                    let residual = matches!(epilogue, Epilogue::Residual(_));
                    let moved = k * n * dtype.bytes() + 4 * m * (k + n + if residual { n } else { 0 });
                    let work = Work { dtype, flop: 2 * m * k * n, bytes: moved };
                    group.case(format!("{name} {k}→{n}, M = {m}"), work, || {
                        let (x, bias) = (tensor(m, k), vector(n));
                        let mut weights = Rotation::new(dtype, k, n);
                        let mut out: Tensor = tensor(m, n);
                        move || {
                            linear(black_box(&x), weights.next(), Some(&bias), epilogue, &mut out)
                                .expect("shapes fit");
                        }
                    });
                }
            }
        });
    }
}
