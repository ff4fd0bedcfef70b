//! Attention: N trajectories over a prompt that they share or each have, and a prompt over itself.

use std::hint::black_box;

use fathom::{
    kv::Sequence,
    ops::attention::{Query, attention},
};

use crate::{
    NETWORKS,
    harness::{
        data::{Place, grow, trajectories},
        network::Network,
        suite::{DTYPES, Group, Suite, Work},
    },
    operand_type,
};

/// Trajectories.
const ROWS: [usize; 4] = [1, 8, 64, 256];

/// Positions of a prompt, and of what follows it.
const LENGTHS: [[usize; 2]; 4] = [[64, 6], [100, 10], [500, 50], [1000, 100]];

/// Positions of a prompt that attends to itself.
const PROMPTS: [usize; 5] = [64, 512, 1024, 2048, 4096];

pub(crate) fn bench(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("attention", dtype, |place, group| {
            for network in NETWORKS {
                for (lengths, rows) in LENGTHS.iter().flat_map(|&l| ROWS.map(|rows| (l, rows))) {
                    decode(place, group, network, lengths, rows);
                }
                for prompt in PROMPTS {
                    prefill(place, group, network, prompt);
                }
            }
        });
    }
}

fn decode(place: &Place, group: &mut Group<'_>, network: &Network, lengths: [usize; 2], rows: usize) {
    let [prompt, suffix] = lengths;
    let cached = network.heads.kv * network.heads.dim;
    let every = |sequence| Query { sequence, visible: prompt + suffix };
    let queries: Vec<Query> = (0..rows).map(every).collect();
    // One trajectory shares with nobody.
    for shared in [true, false].into_iter().take(rows.min(2)) {
        let (kind, positions) = match shared {
            true => ("shared", prompt + rows * suffix),
            false => ("private", rows * (prompt + suffix)),
        };
        let name = format!("{} N = {rows}, prompt {prompt} {kind}, suffix {suffix}", network.name);
        case(place, group, network, name, positions, &queries, |slots| {
            trajectories(place, cached, slots, rows, lengths, shared)
        });
    }
}

fn prefill(place: &Place, group: &mut Group<'_>, network: &Network, prompt: usize) {
    let every = |at| Query { sequence: 0, visible: at + 1 };
    let queries: Vec<Query> = (0..prompt).map(every).collect();
    let name = format!("{} a prompt of {prompt}, causal", network.name);
    case(place, group, network, name, prompt, &queries, |slots| {
        let mut sequence = place.sequence(network.heads.kv * network.heads.dim, slots);
        grow(&mut sequence, slots, prompt);
        vec![sequence]
    });
}

/// `positions` counts those whose keys and values are stored, each once; `sequences` has as many slots as it is given.
fn case(
    place: &Place,
    group: &mut Group<'_>,
    network: &Network,
    name: String,
    positions: usize,
    queries: &[Query],
    sequences: impl FnOnce(usize) -> Vec<Sequence>,
) {
    let heads = network.heads;
    let (width, cached) = (heads.query * heads.dim, heads.kv * heads.dim);
    let visible: usize = queries.iter().map(|query| query.visible).sum();
    let stored = 2 * positions * cached * place.dtype.bytes();
    let bytes = stored + 2 * operand_type(place).bytes() * queries.len() * width;
    // On the CPU scores and sums are f32 whatever keys and values are stored in.
    let work = Work { dtype: operand_type(place), flop: 4 * visible * width, bytes };
    group.case(name, work, || {
        // Layers, taken in turn as in a pass.
        let slots = place.streamed().div_ceil(stored).min(network.layers);
        let sequences = sequences(slots);
        let q = place.operand(queries.len(), width);
        let mut out = place.empty_operand();
        let mut slot = 0;
        move || {
            slot = (slot + 1) % slots;
            attention(black_box(&q), heads, &sequences, &[slot], queries, &mut out).expect("shapes fit");
        }
    });
}
