//! What is asked for, a case a line.

use std::{fmt, str::FromStr};

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Plain,
    SwiGlu,
    Residual,
}

/// A case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// `copy BYTES`: within the device, as many read and written.
    Copy { bytes: usize },
    /// `read BYTES`: as much is only read (`distance`, f32).
    Read { bytes: usize },
    /// `linear|swiglu|residual M K N`: x `[m, k]` times W `[k, n]`, bf16.
    Product { product: Product, m: usize, k: usize, n: usize },
    /// `norm M H`: two norms in one, f32 to bf16.
    Norm { m: usize, h: usize },
    /// `attention HEADS KV DIM PREFIX SUFFIX N`: a query each of n trajectories that share a prefix.
    Attention { heads: [usize; 3], prefix: usize, suffix: usize, rows: usize },
    /// `huginn R PROMPT SUFFIX N`, `latent PROMPT SUFFIX N`, `colar PROMPT SUFFIX N`: a token at r iterations, a latent step of
    /// COCONUT on GPT-2 small, one of CoLaR on Llama-3.2-1B, behind so many positions that all share and of their own.
    Step { network: Network, iterations: usize, prompt: usize, own: usize, rows: usize },
}

/// Whose step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    Huginn,
    Gpt2,
    Llama,
    /// Of a few channels, for the emulated GPU.
    Small,
}

/// Measured when nothing else is asked for: docs/performance.md's shapes.
pub(crate) const LISTED: [&str; 38] = [
    "linear 1 5280 5280",
    "linear 8 5280 5280",
    "linear 64 5280 5280",
    "linear 128 5280 5280",
    "linear 256 5280 5280",
    "linear 512 5280 15840",
    "linear 4096 5280 15840",
    "residual 1 17920 5280",
    "residual 64 17920 5280",
    "residual 128 17920 5280",
    "residual 4096 17920 5280",
    "swiglu 1 5280 35840",
    "swiglu 64 5280 35840",
    "swiglu 128 5280 35840",
    "swiglu 4096 5280 35840",
    "linear 64 768 768",
    "residual 64 3072 768",
    "linear 64 768 3072",
    "residual 64 2048 2048",
    "swiglu 64 2048 16384",
    "residual 64 8192 2048",
    "norm 1 5280",
    "norm 64 5280",
    "norm 4096 5280",
    "attention 55 55 96 500 50 64",
    "attention 55 55 96 500 50 1",
    "attention 12 12 64 65 12 64",
    "attention 32 8 64 200 40 64",
    "huginn 32 500 50 1",
    "huginn 32 500 50 8",
    "huginn 32 500 50 64",
    "huginn 32 500 50 128",
    "latent 65 12 1",
    "latent 65 12 64",
    "latent 65 12 128",
    "colar 200 40 1",
    "colar 200 40 64",
    "colar 200 40 128",
];

/// One of each kind.
pub(crate) const SMALL: [&str; 8] = [
    "copy 65536",
    "read 65536",
    "linear 5 70 66",
    "swiglu 3 64 128",
    "residual 17 96 40",
    "norm 3 96",
    "attention 4 2 16 9 3 5",
    "small 4 9 3 3",
];

impl FromStr for Case {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("not a case: '{line}'");
        let mut words = line.split_whitespace();
        let kind = words.next().ok_or_else(wrong)?;
        let numbers: Vec<usize> = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        if numbers.contains(&0) {
            return Err(wrong());
        }
        let step = |network, iterations, [prompt, own, rows]: [usize; 3]| Case::Step {
            network,
            iterations,
            prompt,
            own,
            rows,
        };
        Ok(match (kind, &numbers[..]) {
            ("copy", &[bytes]) => Case::Copy { bytes },
            ("read", &[bytes]) => Case::Read { bytes },
            ("linear", &[m, k, n]) => Case::Product { product: Product::Plain, m, k, n },
            ("swiglu", &[m, k, n]) => Case::Product { product: Product::SwiGlu, m, k, n },
            ("residual", &[m, k, n]) => Case::Product { product: Product::Residual, m, k, n },
            ("norm", &[m, h]) => Case::Norm { m, h },
            ("attention", &[query, kv, dim, prefix, suffix, rows]) => {
                Case::Attention { heads: [query, kv, dim], prefix, suffix, rows }
            }
            ("huginn", &[iterations, prompt, own, rows]) => {
                step(Network::Huginn, iterations, [prompt, own, rows])
            }
            ("small", &[iterations, prompt, own, rows]) => {
                step(Network::Small, iterations, [prompt, own, rows])
            }
            ("latent", &[prompt, own, rows]) => step(Network::Gpt2, 6, [prompt, own, rows]),
            ("colar", &[prompt, own, rows]) => step(Network::Llama, 20, [prompt, own, rows]),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Case::Copy { bytes } => write!(f, "copy {bytes}"),
            Case::Read { bytes } => write!(f, "read {bytes}"),
            Case::Product { product, m, k, n } => {
                let name = match product {
                    Product::Plain => "linear",
                    Product::SwiGlu => "swiglu",
                    Product::Residual => "residual",
                };
                write!(f, "{name} {m} {k} {n}")
            }
            Case::Norm { m, h } => write!(f, "norm {m} {h}"),
            Case::Attention { heads: [query, kv, dim], prefix, suffix, rows } => {
                write!(f, "attention {query} {kv} {dim} {prefix} {suffix} {rows}")
            }
            Case::Step { network, iterations, prompt, own, rows } => match network {
                Network::Huginn => write!(f, "huginn {iterations} {prompt} {own} {rows}"),
                Network::Small => write!(f, "small {iterations} {prompt} {own} {rows}"),
                Network::Gpt2 => write!(f, "latent {prompt} {own} {rows}"),
                Network::Llama => write!(f, "colar {prompt} {own} {rows}"),
            },
        }
    }
}
