//! Whole steps for N trajectories at once, with random weights: a latent step of GPT-2 small and of Llama 3.2 1B, a step that
//! ends with a token, a recurrence of Huginn (an adapter and four layers).
//!
//! ```sh
//! cargo bench --bench step                    # all, below five minutes on the CPU
//! cargo bench --bench step -- Huginn          # what has this in its name
//! cargo bench --bench step --features cuda    # the first GPU as well
//! benches/peers/cpu                           # GPT-2's step and its products beside those of others
//! ```
//!
//! Tables of steps are as those of `cargo bench --bench ops`; their bytes are weights, keys and values. The last table has
//! GPT-2's latent step over N, data type, kind of prompt, one thread and two.
//!
//! With `--serve` it times the cases that it reads from its input, one a line, and answers each with seconds: our side
//! of `benches/peers/cpu`.

mod case;
#[path = "../harness/mod.rs"]
mod harness;
mod network;
mod serve;

use std::{cell::LazyCell, error::Error, sync::Arc};

use case::Case;
use harness::{
    network::{Form, GPT2, HUGINN, LLAMA, Network},
    suite::{DTYPES, Suite, filter},
};
use network::{Shape, Step, Weights};
use serve::Server;

/// Rounds of the table; a round runs all cases in turn, so that what disturbs the machine disturbs them alike.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--serve") {
        return serve::serve();
    }
    Suite::on_devices(steps);
    if filter().is_some() { Ok(()) } else { table() }
}

/// A network, prompts with what follows them, and trajectories.
type Grid = (&'static Network, &'static [[usize; 2]], &'static [usize]);

const STEPS: [Grid; 3] = [
    (&GPT2, &[[65, 12], [200, 40]], &[1, 8, 64, 256, 512]),
    (&LLAMA, &[[200, 40]], &[1, 8, 64, 256]),
    (&HUGINN, &[[100, 20], [500, 50]], &[1, 8, 64, 128, 256]),
];

/// A latent step with a prompt for all, with one for each, and one that ends with a token.
const KINDS: [(&str, bool, bool); 3] =
    [("shared", true, false), ("private", false, false), ("shared, token", true, true)];

fn steps(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("step", dtype, |place, group| {
            for (network, lengths, rows) in STEPS {
                let weights =
                    LazyCell::new(|| Arc::new(Weights::new(place, network).expect("memory of the device")));
                for (&lengths, &rows) in lengths.iter().flat_map(|l| rows.iter().map(move |r| (l, r))) {
                    for (kind, shared, head) in KINDS {
                        // One trajectory shares with nobody, and a recurrence ends with a state.
                        if (rows == 1 && !shared) || (head && network.form == Form::Huginn) {
                            continue;
                        }
                        let shape = Shape { network, rows, lengths, shared, head };
                        let [prompt, suffix] = lengths;
                        let name =
                            format!("{} N = {rows}, prompt {prompt} {kind}, suffix {suffix}", network.name);
                        group.case(name, shape.work(place), || {
                            let mut step =
                                Step::new(place, weights.clone(), shape).expect("memory of the device");
                            move || step.run().expect("shapes fit")
                        });
                    }
                }
            }
        });
    }
}

fn table() -> Result<(), Box<dyn Error>> {
    println!("| N | data type | prompt of 64 | one thread, ms | two threads, ms | gain |");
    println!("|--:|---|---|--:|--:|--:|");
    let mut server = Server::default();
    for dtype in ["f32", "bf16"] {
        for rows in [1, 8, 64] {
            for prompt in ["private", "shared"] {
                let cases = [1, 2].map(|threads| format!("{prompt} {dtype} {rows} 64 {threads}"));
                let cases = [cases[0].parse::<Case>()?, cases[1].parse::<Case>()?];
                let mut seconds = [Vec::new(), Vec::new()];
                for _ in 0..ROUNDS {
                    for (case, seconds) in cases.iter().zip(&mut seconds) {
                        seconds.push(server.time(case)?);
                    }
                }
                let [one, two] = seconds.map(|seconds| 1e3 * serve::median(seconds));
                println!("| {rows} | {dtype} | {prompt} | {one:.2} | {two:.2} | {:.2} |", one / two);
            }
        }
    }
    Ok(())
}
