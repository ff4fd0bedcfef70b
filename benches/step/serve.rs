//! Times cases.

use std::{
    collections::{HashMap, hash_map::Entry},
    error::Error,
    hint::black_box,
    io::{BufRead, Write},
    sync::Arc,
    time::Instant,
};

use fathom::{
    Device,
    ops::linear::{Epilogue, linear},
};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{
    case::{Case, Work},
    harness::{data::Place, network::GPT2},
    network::{Shape, Step, Weights},
};

/// A case runs this long at least, and this often.
const SECONDS: f64 = 0.25;
const RUNS: usize = 5;

/// Positions after the prompt, the step's own included.
const SUFFIX: usize = 7;

/// Answers cases from the input, one a line, with the median seconds of a run, or with why there is none.
pub(crate) fn serve() -> Result<(), Box<dyn Error>> {
    let mut server = Server::default();
    for line in std::io::stdin().lock().lines() {
        match line?.parse().map_err(Into::into).and_then(|case| server.time(&case)) {
            Ok(seconds) => println!("{seconds:e}"),
            Err(error) => println!("none: {error}"),
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

type Run = Box<dyn FnMut() -> fathom::Result<()> + Send>;

/// Keeps what the newest case works on, and a pool for each number of threads.
#[derive(Default)]
pub(crate) struct Server {
    newest: Option<(Work, Run)>,
    pools: HashMap<usize, ThreadPool>,
}

impl Server {
    /// Median seconds of a run of `case`.
    pub(crate) fn time(&mut self, case: &Case) -> Result<f64, Box<dyn Error>> {
        let pool = match self.pools.entry(case.threads) {
            Entry::Occupied(pool) => pool.into_mut(),
            Entry::Vacant(place) => place.insert(ThreadPoolBuilder::new().num_threads(case.threads).build()?),
        };
        let run = match &mut self.newest {
            Some((work, run)) if *work == case.work => run,
            newest => {
                // What was kept before makes room first.
                *newest = None;
                let mut run = prepare(case.work)?;
                pool.install(&mut run)?;
                &mut newest.insert((case.work, run)).1
            }
        };
        let mut seconds = Vec::new();
        pool.install(|| {
            while seconds.len() < RUNS || seconds.iter().sum::<f64>() < SECONDS {
                let start = Instant::now();
                run()?;
                seconds.push(start.elapsed().as_secs_f64());
            }
            fathom::Result::Ok(())
        })?;
        Ok(median(seconds))
    }
}

fn prepare(work: Work) -> fathom::Result<Run> {
    match work {
        Work::Step { shared, dtype, rows, prompt } => {
            let place = Place { device: Device::Cpu, dtype };
            let shape = Shape { network: &GPT2, rows, lengths: [prompt, SUFFIX], shared, head: false };
            let weights = Weights::new(&place, shape.network)?;
            let mut step = Step::new(&place, Arc::new(weights), shape)?;
            Ok(Box::new(move || step.run()))
        }
        Work::Linear { dtype, m, k, n } => {
            let place = Place { device: Device::Cpu, dtype };
            let (x, weights, mut out) = (place.operand(m, k), place.copies(k, n), place.empty());
            Ok(Box::new(move || linear(black_box(&x), weights.next(), None, Epilogue::None, &mut out)))
        }
    }
}

pub(crate) fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    (seconds[(seconds.len() - 1) / 2] + seconds[seconds.len() / 2]) / 2.0
}
