//! Cases of an operation, timed by criterion, and the table that sums them up.

use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, measurement::WallTime};
use fathom::DType;

use crate::peaks::Peaks;

/// Samples a case; the median is over these.
const SAMPLES: usize = 20;

/// What one run of a case does.
#[derive(Clone, Copy)]
pub(crate) struct Work {
    /// Decides which arithmetic peak counts.
    pub(crate) dtype: DType,
    /// Floating-point operations of products; 0 where there are none to speak of.
    pub(crate) flop: usize,
    /// Bytes that have to move.
    pub(crate) bytes: usize,
}

/// All groups.
pub(crate) struct Suite {
    criterion: Criterion,
}

impl Suite {
    pub(crate) fn new() -> Self {
        let criterion = Criterion::default()
            .sample_size(SAMPLES)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_millis(1200))
            .nresamples(2000);
        Self { criterion: criterion.configure_from_args() }
    }

    /// Runs the cases of one operation and prints their table.
    pub(crate) fn group(&mut self, name: &str, run: impl FnOnce(&mut Group<'_>)) {
        let mut inner = self.criterion.benchmark_group(name);
        inner.sampling_mode(SamplingMode::Flat);
        let mut group = Group { inner, rows: Vec::new() };
        run(&mut group);
        let Group { inner, rows } = group;
        inner.finish();
        if !rows.is_empty() {
            print(name, &rows, Peaks::measure());
        }
    }

    pub(crate) fn finish(self) {
        self.criterion.final_summary();
    }
}

/// The cases of one operation.
pub(crate) struct Group<'c> {
    inner: BenchmarkGroup<'c, WallTime>,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    work: Work,
    seconds: f64,
}

impl Group<'_> {
    /// Times what `setup` returns; a case that the command line filters out is not set up.
    pub(crate) fn case<R: FnMut()>(&mut self, name: String, work: Work, setup: impl FnOnce() -> R) {
        self.inner.throughput(match work.flop {
            0 => Throughput::Bytes(work.bytes as u64),
            flop => Throughput::ElementsAndBytes { elements: flop as u64, bytes: work.bytes as u64 },
        });
        let (mut setup, mut prepared) = (Some(setup), None);
        let mut samples = Vec::new();
        self.inner.bench_function(&name, |bencher| {
            let run = prepared.get_or_insert_with(|| setup.take().expect("set up once")());
            bencher.iter_custom(|count| {
                let start = Instant::now();
                (0..count).for_each(|_| run());
                let elapsed = start.elapsed();
                samples.push(elapsed.as_secs_f64() / count as f64);
                elapsed
            });
        });
        // What came before the last samples was criterion's warming up.
        let first = samples.len().saturating_sub(SAMPLES);
        if let Some(seconds) = median(&mut samples[first..]) {
            self.rows.push(Row { name, work, seconds });
        }
    }
}

fn median(samples: &mut [f64]) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let upper = *samples.get(samples.len() / 2)?;
    let lower = samples[(samples.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// A Markdown table; its head holds the peaks.
fn print(name: &str, rows: &[Row], peaks: Peaks) {
    println!(
        "| {name} | median µs | GFLOP/s | of peak ({:.0} f32, {:.0} bf16) | GB/s | of copy ({:.1} GB/s) |",
        peaks.f32 / 1e9,
        peaks.bf16 / 1e9,
        peaks.copy / 1e9
    );
    println!("|---|--:|--:|--:|--:|--:|");
    for Row { name, work, seconds } in rows {
        let rate = |amount: usize, peak: f64| match amount {
            0 => ("–".into(), "–".into()),
            _ => {
                let rate = amount as f64 / seconds;
                (format!("{:.1}", rate / 1e9), format!("{:.0} %", 100.0 * rate / peak))
            }
        };
        let (flops, of_peak) = rate(work.flop, peaks.of(work.dtype));
        let (bandwidth, of_copy) = rate(work.bytes, peaks.copy);
        println!("| {name} | {:.1} | {flops} | {of_peak} | {bandwidth} | {of_copy} |", seconds * 1e6);
    }
    println!();
}
