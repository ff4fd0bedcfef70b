//! Matrix products, each with the epilogue that it has in its network.

use std::{cell::LazyCell, hint::black_box};

use fathom::{
    Perturb,
    ops::linear::{Epilogue, linear},
};

use crate::{
    NETWORKS,
    harness::{
        data::{Copies, Place},
        network::{Form, Network},
        suite::{DTYPES, Group, Suite, Work},
    },
    operand_type,
};

/// Rows of one trajectory, of few, of many, and of prompts.
pub(crate) const ROWS: [usize; 9] = [1, 8, 64, 128, 256, 512, 1024, 2048, 4096];

/// Rows whose logits somebody wants.
const SAMPLED: usize = 256;

struct Product {
    name: &'static str,
    k: usize,
    n: usize,
    bias: bool,
    epilogue: Epilogue<'static>,
}

impl Product {
    fn all(network: &Network) -> [Product; 5] {
        let Network { width, hidden, heads, vocabulary, form, .. } = *network;
        let bias = form == Form::Gpt2;
        let one = |name, k, n, bias, epilogue| Product { name, k, n, bias, epilogue };
        let residual = Epilogue::Residual(Perturb::None);
        let up = match bias {
            true => one("up, GELU", width, hidden, true, Epilogue::GeluTanh),
            false => one("gate and up, SwiGLU", width, 2 * hidden, false, Epilogue::SwiGlu),
        };
        [
            one("qkv", width, heads.fused_width(), bias, Epilogue::None),
            one("out", width, width, bias, residual),
            up,
            one("down", hidden, width, bias, residual),
            one("logits", width, vocabulary, false, Epilogue::None),
        ]
    }

    fn work(&self, m: usize, place: &Place) -> Work {
        let Product { k, n, .. } = *self;
        let row = match self.epilogue {
            Epilogue::Residual(_) => 2 * 4 * n,
            Epilogue::SwiGlu => n / 2 * operand_type(place).bytes(),
            _ => n * operand_type(place).bytes(),
        };
        let bytes = k * n * place.dtype.bytes() + m * (k * operand_type(place).bytes() + row);
        Work { dtype: place.dtype, flop: 2 * m * k * n, bytes }
    }
}

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("linear", dtype, |place, group| {
            for network in NETWORKS {
                for product in Product::all(network) {
                    cases(place, group, network.name, &product);
                }
            }
        });
    }
}

fn cases(place: &Place, group: &mut Group<'_>, network: &str, product: &Product) {
    let Product { name, k, n, bias, epilogue } = *product;
    let weights = LazyCell::new(|| place.copies(k, n));
    let weights = &weights;
    let rows = ROWS.into_iter().filter(|&m| name != "logits" || m <= SAMPLED);
    for m in rows {
        let work = product.work(m, place);
        group.case(format!("{network} {name} {k}→{n}, M = {m}"), work, || {
            let weights: &Copies = weights;
            let (x, bias) = (place.operand(m, k), bias.then(|| place.tensor(1, n)));
            let mut out = match epilogue {
                Epilogue::Residual(_) => place.tensor(m, n),
                _ => place.empty_operand(),
            };
            move || {
                linear(black_box(&x), weights.next(), bias.as_ref(), epilogue, &mut out).expect("shapes fit");
            }
        });
    }
}
