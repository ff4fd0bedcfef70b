//! Time of every operation on one thread, against what the processor can do.
//!
//! ```sh
//! cargo bench --bench ops                     # all, below five minutes
//! cargo bench --bench ops -- linear           # one operation
//! cargo bench --bench ops | grep '^|'         # the tables alone
//! ```
//!
//! Each group ends with a table: the median over criterion's samples, GFLOP/s, GB/s of the bytes that have to move
//! (weights, keys and values as stored, each once; activations read and written), and both as a share of peaks that
//! are measured right before the table. What fits into caches can exceed the bandwidth of a copy.

mod adapter;
mod arg_max;
mod attention;
mod data;
mod embedding;
mod layer_norm;
mod linear;
mod peaks;
mod perturb;
mod rms_norm;
mod rope;
mod suite;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
    pool.install(|| {
        let mut suite = suite::Suite::new();
        linear::bench(&mut suite);
        arg_max::bench(&mut suite);
        adapter::bench(&mut suite);
        attention::bench(&mut suite);
        layer_norm::bench(&mut suite);
        rms_norm::bench(&mut suite);
        rope::bench(&mut suite);
        perturb::bench(&mut suite);
        embedding::bench(&mut suite);
        suite.finish();
    });
}
