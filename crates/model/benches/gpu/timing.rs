//! Times of a case.

use std::error::Error;

use fathom::{Device, Gpu};

use crate::{case::Case, kernels, steps};

/// Bytes that operands which take turns have at least: several times the second-level cache.
pub(crate) const TURNS: usize = 256 << 20;

/// Launches of a list, about; and how many lists, and seconds, are measured at least.
pub(crate) const LAUNCHES: usize = 20;
const LISTS: usize = 20;
const SECONDS: f64 = 0.25;

/// Lists that run before: the second becomes a graph, which the third runs.
const WARM: usize = 4;

/// Whatever is farther from the reference is not timed (docs/performance.md: bf16).
const ALLOWED: f64 = 1e-2;

/// A list of launches to be submitted again and again, and how far its result is from a reference, of the reference's norm.
pub(crate) struct Job {
    pub(crate) list: Box<dyn FnMut() -> fathom::Result<()>>,
    /// Launches, or steps, that a list is.
    pub(crate) count: usize,
    pub(crate) error: f64,
}

/// Seconds of a launch or step, by list, in rising order.
pub(crate) struct Timed {
    pub(crate) seconds: Vec<f64>,
    pub(crate) error: f64,
}

impl Timed {
    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    pub(crate) fn quantile(&self, share: f64) -> f64 {
        self.seconds[((self.seconds.len() - 1) as f64 * share).round() as usize]
    }
}

/// A GPU, and the network that was asked for last.
pub(crate) struct Bench {
    pub(crate) gpu: Gpu,
    pub(crate) models: steps::Models,
}

impl Bench {
    pub(crate) fn new(gpu: Gpu) -> Self {
        Self { gpu, models: steps::Models::default() }
    }

    pub(crate) fn device(&self) -> Device {
        Device::Gpu(self.gpu.clone())
    }

    /// Checks and times a case.
    pub(crate) fn time(&mut self, case: Case) -> Result<Timed, Box<dyn Error>> {
        if let Case::Step { .. } = case {
            return steps::time(self, case);
        }
        let mut job = kernels::prepare(&self.device(), case, TURNS)?;
        near(job.error)?;
        for _ in 0..WARM {
            (job.list)()?;
            self.gpu.flush()?;
        }
        let mut seconds = Vec::new();
        while seconds.len() < LISTS || seconds.iter().sum::<f64>() < SECONDS {
            seconds.push(self.gpu.elapsed(&mut job.list)?);
        }
        seconds.iter_mut().for_each(|seconds| *seconds /= job.count as f64);
        seconds.sort_by(f64::total_cmp);
        Ok(Timed { seconds, error: job.error })
    }

    /// Runs a case twice, and how far its result is from the reference.
    pub(crate) fn check(&mut self, case: Case) -> Result<f64, Box<dyn Error>> {
        if let Case::Step { .. } = case {
            return steps::check(self, case);
        }
        let mut job = kernels::prepare(&self.device(), case, 1)?;
        near(job.error)?;
        for _ in 0..2 {
            let seconds = self.gpu.elapsed(&mut job.list)?;
            if seconds <= 0.0 {
                return Err("it took no time".into());
            }
        }
        Ok(job.error)
    }
}

/// Refuses a result that is wrong.
fn near(error: f64) -> Result<(), Box<dyn Error>> {
    match error <= ALLOWED {
        true => Ok(()),
        false => Err(format!("wrong by {error:.1e} of the reference").into()),
    }
}

/// ‖x − y‖/‖y‖ in double precision.
pub(crate) fn distance(x: &[f32], y: &[f32]) -> f64 {
    if x.len() != y.len() || y.is_empty() {
        return f64::NAN;
    }
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        x.iter().zip(y).map(|(&x, &y)| of(f64::from(x), f64::from(y)).powi(2)).sum()
    };
    (sum(&|x, y| x - y) / sum(&|_, y| y)).sqrt()
}
