//! Time of every operation, on one core of the host and on a GPU where there is one, against what the device can do.
//!
//! ```sh
//! cargo bench --bench ops                     # all, below a quarter of an hour on the CPU
//! cargo bench --bench ops -- linear           # what has this in its name
//! cargo bench --bench ops | grep '^|'         # the tables alone
//! cargo bench --bench ops --features cuda     # the first GPU as well
//! ```
//!
//! Shapes are those of three networks (`benches/harness/network.rs`). Each group ends with a table: the median over
//! criterion's samples, operations and bytes a second, both as a share of peaks that are measured right before and after the group,
//! and the time below which no implementation comes that has to read its operands from memory (the floor). Bytes are those
//! that have to move: weights, keys and values as stored, each once; activations read and written. What fits into caches can
//! be faster than the floor. On the CPU a call that takes more than half a second is skipped.

#[path = "../harness/mod.rs"]
mod harness;

mod adam;
mod adapter;
mod arg_max;
mod attention;
mod cosine;
mod cross_entropy;
mod distance;
mod embedding;
mod entropy;
mod gather;
mod layer_norm;
mod linear;
mod linear_backward;
mod perturb;
mod qkv;
mod rms_norm;
mod rope;
mod round;
mod sandwich;
mod scale;
mod window_attention;

use fathom::{DType, Device};
use harness::{
    data::Place,
    network::{GPT2, HUGINN, LLAMA, Network},
    suite::Suite,
};

pub(crate) const NETWORKS: [&Network; 3] = [&GPT2, &LLAMA, &HUGINN];

/// How rows that products read are stored.
pub(crate) fn operand_type(place: &Place) -> DType {
    match place.device {
        Device::Cpu => DType::F32,
        _ => place.dtype,
    }
}

fn main() {
    Suite::on_devices(|suite| {
        linear::bench(suite);
        qkv::bench(suite);
        arg_max::bench(suite);
        adapter::bench(suite);
        attention::bench(suite);
        sandwich::bench(suite);
        layer_norm::bench(suite);
        rms_norm::bench(suite);
        rope::bench(suite);
        perturb::bench(suite);
        scale::bench(suite);
        round::bench(suite);
        embedding::bench(suite);
        linear_backward::bench(suite);
        window_attention::bench(suite);
        cross_entropy::bench(suite);
        adam::bench(suite);
        gather::bench(suite);
        distance::bench(suite);
        entropy::bench(suite);
        cosine::bench(suite);
    });
}
