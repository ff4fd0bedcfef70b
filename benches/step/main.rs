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

use std::error::Error;

use case::Case;
use harness::{
    network::{GPT2, HUGINN, LLAMA, Network},
    suite::{DTYPES, Suite, filter},
};
use network::{Shape, Step};
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

/// A network; a prompt and what follows it; trajectories.
const STEPS: [(&Network, [usize; 2], &[usize]); 5] = [
    (&GPT2, [65, 12], &[1, 8, 64, 256, 512]),
    (&GPT2, [200, 40], &[64]),
    (&LLAMA, [200, 40], &[1, 8, 64, 256]),
    (&HUGINN, [100, 20], &[1, 8, 64, 128, 256]),
    (&HUGINN, [500, 50], &[1, 8, 64, 128, 256]),
];

/// A latent step with a prompt for all, with one for each, and one that ends with a token.
const KINDS: [(&str, bool, bool); 3] =
    [("shared", true, false), ("private", false, false), ("shared, token", true, true)];

fn steps(suite: &mut Suite) {
    for dtype in DTYPES {
        suite.group("step", dtype, |place, group| {
            for (network, lengths, rows, kind) in STEPS.iter().flat_map(|&(network, lengths, rows)| {
                rows.iter().flat_map(move |&rows| KINDS.map(|kind| (network, lengths, rows, kind)))
            }) {
                let ([prompt, suffix], (kind, shared, head)) = (lengths, kind);
                let shape = Shape { network, rows, lengths, shared, head };
                let name = format!("{} N = {rows}, prompt {prompt} {kind}, suffix {suffix}", network.name);
                group.case(name, shape.work(place), || {
                    let mut step = Step::new(place, shape).expect("memory of the device");
                    move || step.run().expect("shapes fit")
                });
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
