//! The table of a run, and the same as JSON.

use std::error::Error;

use serde_json::{Value, json};

use crate::{
    case::{Case, Network, Product},
    timing::{Bench, Timed},
};

/// Bytes that are copied and read, and rows, channels and columns of a product, to see what the machine can do.
const CEILINGS: [&str; 3] = ["copy 4294967296", "read 8589934592", "linear 8192 8192 8192"];

/// Collects lines and prints them.
pub(crate) struct Report {
    /// Bytes a second, and operations a second.
    bandwidth: f64,
    products: f64,
    lines: Vec<Value>,
}

impl Report {
    /// Measures the ceilings and prints the head.
    pub(crate) fn begin(bench: &mut Bench) -> Result<Self, Box<dyn Error>> {
        let mut seconds = Vec::new();
        for line in CEILINGS {
            seconds.push(bench.time(line.parse()?)?.median());
        }
        let (copied, read) = (2.0 * 4_294_967_296.0 / seconds[0], 8_589_934_592.0 / seconds[1]);
        let products = 2.0 * 8192f64.powi(3) / seconds[2];
        println!(
            "{}: copy {:.2} TB/s, read {:.2} TB/s, bf16 product of 8192³ {:.0} TFLOP/s (ours)\n",
            bench.gpu.name(),
            copied / 1e12,
            read / 1e12,
            products / 1e12
        );
        println!("| case | MB | GFLOP | floor, µs | µs (p10–p90) | TB/s | TFLOP/s | of floor, % | error |");
        println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        Ok(Self { bandwidth: copied.max(read), products, lines: Vec::new() })
    }

    /// A case and what came of it.
    pub(crate) fn line(&mut self, case: Case, timed: Result<Timed, Box<dyn Error>>) {
        let timed = match timed {
            Ok(timed) => timed,
            Err(error) => {
                println!("| {case} | none: {error} |||||||");
                self.lines.push(json!({"case": case.to_string(), "none": error.to_string()}));
                return;
            }
        };
        let (bytes, flop) = work(case);
        let floor = (bytes / self.bandwidth).max(flop / self.products);
        let [low, middle, high] = [0.1, 0.5, 0.9].map(|share| timed.quantile(share));
        println!(
            "| {case} | {:.1} | {:.1} | {:.1} | {:.1} ({:.1}–{:.1}) | {:.2} | {:.0} | {:.0} | {:.0e} |",
            bytes / 1e6,
            flop / 1e9,
            1e6 * floor,
            1e6 * middle,
            1e6 * low,
            1e6 * high,
            bytes / middle / 1e12,
            flop / middle / 1e12,
            100.0 * floor / middle,
            timed.error
        );
        self.lines.push(json!({
            "case": case.to_string(), "bytes": bytes, "flop": flop, "floor": floor, "median": middle, "p10": low, "p90": high,
            "error": timed.error,
        }));
    }

    pub(crate) fn json(&self) -> Result<String, Box<dyn Error>> {
        let all = json!({"bandwidth": self.bandwidth, "products": self.products, "cases": self.lines});
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }
}

/// Bytes that have to move, each operand once, and operations of products.
fn work(case: Case) -> (f64, f64) {
    let (bytes, flop) = match case {
        Case::Copy { bytes } => (2 * bytes, 0),
        Case::Read { bytes } => (bytes, 0),
        Case::Product { product, m, k, n } => {
            let out = match product {
                Product::Plain => 2 * n,
                Product::SwiGlu => n,
                Product::Residual => 8 * n,
            };
            (2 * k * n + m * (2 * k + out), 2 * m * k * n)
        }
        // The stream is read and written in f32, the operand written in bf16.
        Case::Norm { m, h } => (10 * m * h, 0),
        Case::Attention { heads: [query, kv, dim], prefix, suffix, rows } => {
            let bytes = 4 * kv * dim * (prefix + rows * suffix) + 4 * rows * query * dim;
            (bytes, 4 * rows * query * dim * (prefix + suffix))
        }
        Case::Step { network, iterations, prompt, own, rows } => {
            step(network, iterations, prompt + rows * own, rows)
        }
    };
    (bytes as f64, flop as f64)
}

/// A step's weights once, as often as they are used, and the keys and values that it reads (docs/performance.md, "Launches and
/// bytes").
fn step(network: Network, iterations: usize, positions: usize, rows: usize) -> (usize, usize) {
    let (elements, layers, cached) = match network {
        Network::Huginn => {
            let (h, inner) = (5280, 17920);
            let layer = 4 * h * h + 3 * h * inner;
            let all = iterations * (4 * layer + h * h) + 4 * layer + h * h + 65536 * h;
            (all, iterations * 4 + 4, h)
        }
        Network::Gpt2 => (12 * 12 * 768 * 768, 12, 768),
        Network::Llama => {
            let layer = 2048 * 3072 + 2048 * 2048 + 3 * 2048 * 8192;
            (16 * layer + 128_258 * 2048 + 3 * 2048 * 2048, 16, 512)
        }
        Network::Small => (0, 0, 0),
    };
    (2 * elements + 4 * layers * cached * (positions + rows), 2 * rows * elements)
}
