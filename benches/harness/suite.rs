//! Cases of an operation, timed by criterion, and the table that sums them up.

use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, measurement::WallTime};
use fathom::{DType, Device};

use super::{data::Place, peaks::Peaks};

/// Samples a case; the median is over these.
const SAMPLES: usize = 10;

/// Seconds of all samples of a case, where a call takes no longer than a sample.
const MEASURED: f64 = 0.4;

/// Seconds that a call on the CPU takes at most.
const LIMIT: f64 = 0.5;

/// Bytes that a case on the CPU moves at most: it keeps no more than these.
const MOVED: usize = 7 << 30;

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

/// All groups on one device.
pub(crate) struct Suite {
    criterion: Criterion,
    device: Device,
    filter: Option<String>,
}

impl Suite {
    pub(crate) fn new(device: Device) -> Self {
        let criterion = Criterion::default()
            .sample_size(SAMPLES)
            .warm_up_time(Duration::from_millis(100))
            .nresamples(2000);
        Self { criterion: criterion.configure_from_args(), device, filter: filter() }
    }

    /// Runs `suites` on one core of the host, then on the first GPU if there is one.
    pub(crate) fn on_devices(suites: impl Fn(&mut Suite) + Send + Sync) {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool of one thread");
        pool.install(|| {
            let mut suite = Suite::new(Device::Cpu);
            suites(&mut suite);
            suite.criterion.final_summary();
        });
        match Device::cuda(0) {
            Ok(device) => {
                let mut suite = Suite::new(device);
                suites(&mut suite);
                suite.criterion.final_summary();
            }
            Err(error) => println!("none on a GPU: {error}"),
        }
    }

    /// Runs the cases of one operation and prints their table.
    pub(crate) fn group(&mut self, name: &str, dtype: DType, run: impl FnOnce(&Place, &mut Group<'_>)) {
        let name = match &self.device {
            Device::Cpu => format!("{name} {dtype}"),
            device => format!("{name} {dtype}, {device}"),
        };
        let mut inner = self.criterion.benchmark_group(&name);
        inner.sampling_mode(SamplingMode::Flat);
        let (device, filter) = (self.device.clone(), self.filter.clone());
        let mut group = Group { inner, name, device, filter, peaks: None, rows: Vec::new() };
        run(&Place { device: self.device.clone(), dtype }, &mut group);
        let Group { inner, name, rows, peaks, device, .. } = group;
        inner.finish();
        if let Some(peaks) = peaks {
            print(&name, &rows, peaks.max(Peaks::measure(&device)), &device);
        }
    }
}

/// How weights are stored.
pub(crate) const DTYPES: [DType; 2] = [DType::F32, DType::Bf16];

/// The part of a case's name that the command line asks for.
pub(crate) fn filter() -> Option<String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |at: usize| arguments[at].starts_with('-');
    let value_of_option = |at: usize| at > 0 && option(at - 1) && arguments[at - 1] != "--bench";
    let at = (0..arguments.len()).find(|&at| !option(at) && !value_of_option(at))?;
    Some(arguments[at].clone())
}

/// The cases of one operation.
pub(crate) struct Group<'c> {
    inner: BenchmarkGroup<'c, WallTime>,
    name: String,
    device: Device,
    filter: Option<String>,
    /// As measured before the first case.
    peaks: Option<Peaks>,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    work: Work,
    time: Time,
}

enum Time {
    /// Seconds.
    Median(f64),
    /// Why a case was not timed.
    Skipped(String),
}

impl Group<'_> {
    /// Times what `setup` returns. A case that the command line filters out is not set up; on the CPU neither is one that
    /// cannot but take longer than [`LIMIT`], and one whose first call does is skipped.
    pub(crate) fn case<R: FnMut()>(&mut self, name: String, work: Work, setup: impl FnOnce() -> R) {
        if let Some(peaks) = self.peaks(&name) {
            let time = self.time(&name, work, peaks.floor(work), setup);
            self.row(name, work, time);
        }
    }

    /// What the device can do, if the command line asks for the case.
    fn peaks(&mut self, name: &str) -> Option<Peaks> {
        let asked = self.filter.as_ref().is_none_or(|part| format!("{}/{name}", self.name).contains(part));
        asked.then(|| *self.peaks.get_or_insert_with(|| Peaks::measure(&self.device)))
    }

    fn row(&mut self, name: String, work: Work, time: Time) {
        if let Time::Skipped(why) = &time {
            println!("{}/{name}: skipped, {why}", self.name);
        }
        self.rows.push(Row { name, work, time });
    }

    fn time<R: FnMut()>(&mut self, name: &str, work: Work, floor: f64, setup: impl FnOnce() -> R) -> Time {
        let on_cpu = self.device == Device::Cpu;
        if on_cpu && floor > LIMIT {
            return Time::Skipped(format!("at least {floor:.1} s"));
        }
        if on_cpu && work.bytes > MOVED {
            return Time::Skipped(format!("{:.1} GB", work.bytes as f64 / 1e9));
        }
        let mut run = setup();
        let device = &self.device;
        let mut timed = |count: u64| {
            wait(device);
            let start = Instant::now();
            (0..count).for_each(|_| run());
            wait(device);
            start.elapsed()
        };
        let once = timed(1).as_secs_f64();
        if on_cpu && once > LIMIT {
            return Time::Skipped(format!("{once:.1} s"));
        }
        // Where one call is a sample, somewhat less than all take: criterion rounds up to whole calls.
        let measured = MEASURED.max(0.8 * SAMPLES as f64 * once);
        self.inner.measurement_time(Duration::from_secs_f64(measured));
        self.inner.throughput(match work.flop {
            0 => Throughput::Bytes(work.bytes as u64),
            flop => Throughput::ElementsAndBytes { elements: flop as u64, bytes: work.bytes as u64 },
        });
        let mut samples = Vec::new();
        self.inner.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let elapsed = timed(count);
                samples.push(elapsed.as_secs_f64() / count as f64);
                elapsed
            });
        });
        // What came before the last samples was criterion's warming up.
        let first = samples.len().saturating_sub(SAMPLES);
        median(&mut samples[first..]).map_or_else(|| Time::Skipped("not asked for".into()), Time::Median)
    }
}

/// Until what was submitted has run.
fn wait(device: &Device) {
    if let Device::Gpu(gpu) = device {
        gpu.synchronize().expect("nothing went wrong on the device");
    }
}

fn median(samples: &mut [f64]) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let upper = *samples.get(samples.len() / 2)?;
    let lower = samples[(samples.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// A Markdown table; its head holds the peaks.
fn print(name: &str, rows: &[Row], peaks: Peaks, device: &Device) {
    let (unit, scale) = if *device == Device::Cpu { ("GFLOP/s", 1e9) } else { ("TFLOP/s", 1e12) };
    println!(
        "| {name} | median µs | {unit} | of peak ({:.0} f32, {:.0} bf16) | GB/s | of copy ({:.1} GB/s) | floor µs | of floor |",
        peaks.f32 / scale,
        peaks.bf16 / scale,
        peaks.copy / 1e9
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for Row { name, work, time } in rows {
        let floor = peaks.floor(*work);
        let seconds = match time {
            Time::Median(seconds) => seconds,
            Time::Skipped(why) => {
                println!("| {name} | skipped: {why} | – | – | – | – | {:.1} | – |", floor * 1e6);
                continue;
            }
        };
        let rate = |amount: usize, scale: f64, peak: f64| match amount {
            0 => ("–".into(), "–".into()),
            _ => {
                let rate = amount as f64 / seconds;
                (format!("{:.1}", rate / scale), format!("{:.0} %", 100.0 * rate / peak))
            }
        };
        let (flops, of_peak) = rate(work.flop, scale, peaks.of(work.dtype));
        let (bandwidth, of_copy) = rate(work.bytes, 1e9, peaks.copy);
        println!(
            "| {name} | {:.1} | {flops} | {of_peak} | {bandwidth} | {of_copy} | {:.1} | {:.0} % |",
            seconds * 1e6,
            floor * 1e6,
            100.0 * floor / seconds
        );
    }
    println!();
}
