//! Kernels and whole steps on a GPU, timed by CUDA events over graphs of launches whose operands take turns, so that weights, keys
//! and values come from memory (256 MB at least), on random data, each result checked first.
//!
//! ```sh
//! cargo bench -p fathom-model --features fathom/cuda --bench gpu                 # the table; `-- linear` for a part
//! cargo bench -p fathom-model --features fathom/cuda --bench gpu -- --out gpu.json
//! ```
//!
//! Without a GPU small cases are checked on the emulated one, and nothing is timed. `--serve` answers cases from the input, one a
//! line, with median seconds of a launch or a step, or `none: why`: `benches/peers/gpu` asks so.

mod case;
mod data;
mod kernels;
#[path = "../launches/network.rs"]
mod network;
mod report;
mod steps;
mod timing;

use std::{
    error::Error,
    io::{BufRead, Write},
};

use fathom::Device;

use case::{Case, LISTED, SMALL};
use report::Report;
use timing::Bench;

/// What is asked for.
#[derive(Default)]
struct Options {
    serve: bool,
    out: Option<String>,
    filter: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serve" => options.serve = true,
            "--out" => options.out = Some(arguments.next().ok_or("--out wants a file")?),
            // What cargo adds.
            "--bench" => {}
            option if option.starts_with('-') => return Err(format!("unknown option '{option}'").into()),
            part => options.filter = Some(part.to_owned()),
        }
    }
    match Device::cuda(0) {
        Ok(Device::Gpu(gpu)) if options.serve => serve(&mut Bench::new(gpu)),
        Ok(Device::Gpu(gpu)) => table(&mut Bench::new(gpu), &options),
        Ok(Device::Cpu) => Err("the CPU in place of a GPU".into()),
        Ok(_) => Err("no GPU that this program knows".into()),
        Err(why) if options.serve => Err(why.into()),
        Err(why) => {
            println!("{why}: small cases on the emulated GPU, not timed");
            check(&options)
        }
    }
}

/// Answers cases from the input.
fn serve(bench: &mut Bench) -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        match line?.parse().map_err(Into::into).and_then(|case| bench.time(case)) {
            Ok(timed) => println!("{:e}", timed.median()),
            Err(error) => println!("none: {error}"),
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn chosen(list: &[&str], options: &Options) -> Vec<Case> {
    let wanted = |line: &&&str| options.filter.as_ref().is_none_or(|part| line.contains(part.as_str()));
    list.iter().filter(wanted).filter_map(|line| line.parse().ok()).collect()
}

/// The standing list, behind this machine's ceilings.
fn table(bench: &mut Bench, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut report = Report::begin(bench)?;
    for case in chosen(&LISTED, options) {
        report.line(case, bench.time(case));
    }
    if let Some(path) = &options.out {
        std::fs::write(path, report.json()?)?;
    }
    Ok(())
}

/// Every kind of case, small, on the emulated GPU.
fn check(options: &Options) -> Result<(), Box<dyn Error>> {
    let Device::Gpu(gpu) = Device::emulated()? else { return Err("no emulated GPU".into()) };
    let mut bench = Bench::new(gpu);
    for case in chosen(&SMALL, options) {
        let error = bench.check(case).map_err(|error| format!("{case}: {error}"))?;
        println!("{case}: {error:.1e}");
    }
    Ok(())
}
