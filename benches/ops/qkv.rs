//! Queries, keys and values with all that their epilogue does, for the newest position of N trajectories.

use std::{cell::LazyCell, hint::black_box};

use fathom::{
    kv::{Run, Sequence},
    ops::qkv::{Input, Projection, Rotation, qkv},
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

/// Trajectories.
const ROWS: [usize; 4] = [1, 8, 64, 256];

/// Where they are.
const POSITION: usize = 70;

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("qkv", dtype, |place, group| {
            for network in NETWORKS {
                cases(place, group, network);
            }
        });
    }
}

fn cases(place: &Place, group: &mut Group<'_>, network: &Network) {
    let Network { name, width, heads, form, .. } = *network;
    let (columns, cached) = (heads.fused_width(), heads.kv * heads.dim);
    let weights = LazyCell::new(|| place.copies(width, columns));
    let weights = &weights;
    for m in ROWS {
        let row = (width + heads.query * heads.dim) * operand_type(place).bytes()
            + 2 * cached * place.dtype.bytes();
        let bytes = width * columns * place.dtype.bytes() + m * row;
        let work = Work { dtype: place.dtype, flop: 2 * m * width * columns, bytes };
        group.case(format!("{name} {width}→{columns}, M = {m}"), work, || {
            let weights: &Copies = weights;
            let (plain, normed) = (place.operand(m, width), place.tensor(m, width));
            let (norm, mut aside) = (place.tensor(1, width), place.empty_operand());
            let bias = (form != Form::Llama).then(|| place.tensor(1, columns));
            let turns = place.turns(m, POSITION, heads.dim);
            let mut sequences: Vec<Sequence> = (0..m).map(|_| place.sequence(cached, 1)).collect();
            sequences.iter_mut().for_each(|sequence| _ = sequence.admit(1));
            let mut out = place.empty_operand();
            move || {
                let mut runs: Vec<Run<'_>> = sequences
                    .iter_mut()
                    .map(|sequence| Run::revisit(sequence, 1).expect("a position"))
                    .collect();
                let input = match form {
                    Form::Llama => Input::RmsNorm { x: &normed, weight: &norm, eps: 1e-5, aside: &mut aside },
                    _ => Input::Plain(black_box(&plain)),
                };
                let projection = Projection { weight: weights.next(), bias: bias.as_ref(), heads };
                let rotation = form.rotation().map(|layout| Rotation { angles: &turns, layout });
                qkv(input, projection, rotation, &mut runs, &[0], &mut out).expect("shapes fit");
            }
        });
    }
}
