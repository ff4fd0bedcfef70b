//! A latent step of GPT-2 small (12 layers, h 768, no LM head) with random weights, for N trajectories at once.
//!
//! ```sh
//! cargo bench --bench step          # table over N, data type, kind of prompt, one thread and two
//! benches/peers/cpu                 # the same step and its products beside those of others
//! ```
//!
//! With `--serve` it times the cases that it reads from its input, one a line, and answers each with seconds: our side
//! of `benches/peers/cpu`.

mod case;
mod network;
mod serve;

use std::error::Error;

use case::Case;
use serve::Server;

/// Rounds of the table; a round runs all cases in turn, so that what disturbs the machine disturbs them alike.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|argument| argument == "--serve") { serve::serve() } else { table() }
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
