//! What is asked for.

use std::str::FromStr;

use fathom::DType;

/// A case: what to run, and on how many threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Case {
    pub(crate) work: Work,
    pub(crate) threads: usize,
}

/// What to run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Work {
    /// A latent step: `private|shared DTYPE ROWS PROMPT THREADS`. Each trajectory has a prompt of its own, or all share
    /// one; seven latents follow it, the last being the step's own position.
    Step { shared: bool, dtype: DType, rows: usize, prompt: usize },
    /// x·W for x `[m, k]` and W `[k, n]`: `linear DTYPE M K N THREADS`.
    Linear { dtype: DType, m: usize, k: usize, n: usize },
}

impl FromStr for Case {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("not a case: '{line}'");
        let mut words = line.split_whitespace();
        let kind = words.next().ok_or_else(wrong)?;
        let dtype = words.next().and_then(|name| name.parse().ok()).ok_or_else(wrong)?;
        let numbers: Vec<usize> = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| wrong())?;
        let (work, threads) = match (kind, &numbers[..]) {
            ("private" | "shared", &[rows, prompt, threads]) => {
                (Work::Step { shared: kind == "shared", dtype, rows, prompt }, threads)
            }
            ("linear", &[m, k, n, threads]) => (Work::Linear { dtype, m, k, n }, threads),
            _ => return Err(wrong()),
        };
        if numbers.contains(&0) { Err(wrong()) } else { Ok(Self { work, threads }) }
    }
}
