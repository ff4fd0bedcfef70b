//! Heads without their logits.

use std::{cell::LazyCell, hint::black_box};

use fathom::{Tokens, ops::arg_max::arg_max};

use crate::{
    NETWORKS,
    harness::{
        data::Copies,
        network::Network,
        suite::{DTYPES, Suite, Work},
    },
    linear::ROWS,
    operand_type,
};

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("arg_max", dtype, |place, group| {
            for &Network { name, width: k, vocabulary: n, .. } in NETWORKS {
                let heads = LazyCell::new(|| place.copies(k, n));
                let heads = &heads;
                for m in ROWS {
                    let bytes = k * n * dtype.bytes() + m * (k * operand_type(place).bytes() + 4);
                    let work = Work { dtype, flop: 2 * m * k * n, bytes };
                    group.case(format!("{name} head {k}→{n}, M = {m}"), work, || {
                        let heads: &Copies = heads;
                        let x = place.operand(m, k);
                        let mut out = Tokens::empty(x.device());
                        move || arg_max(black_box(&x), heads.next(), &mut out).expect("shapes fit")
                    });
                }
            }
        });
    }
}
