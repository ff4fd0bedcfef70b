//! What was counted, as Markdown.

use fathom::counting::{Copies, Launched, Moved};
use fathom_model::config::Config;

use crate::{
    floor::floor,
    step::Lengths,
    step::{Kind, Step},
};

/// Processors of an H200.
const SMS: usize = 132;

/// Bytes a second of a copy within its memory, read and written.
const BANDWIDTH: f64 = 4.3e12;

/// Seconds from one kernel of a graph to the next.
const LAUNCH: f64 = 1.3e-6;

/// Steps of one kind, by their number of rows.
pub(crate) type Steps<'a> = (Kind, &'a [Step]);

/// Launches, copies and bytes of a step, beside its floor.
pub(crate) fn sums(network: &str, config: &Config, lengths: Lengths, steps: &[Steps<'_>]) {
    println!(
        "| {network} | N | launches | submissions | uploads | downloads | copies | weights, MB | keys and values, MB | activations, MB | bytes / floor | floor at {} TB/s, µs | launches at {} µs, µs |",
        BANDWIDTH / 1e12,
        LAUNCH * 1e6
    );
    println!("|---|{}", "--:|".repeat(12));
    for (kind, steps) in steps {
        for step in *steps {
            let counts = &step.counts;
            let Moved { weights, cache, activations } =
                counts.launches.iter().map(moved).fold(Moved::default(), |sum, moved| sum + moved);
            let floor = floor(config, *kind, lengths.steps, step) as f64;
            println!(
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.3} | {:.1} | {:.1} |",
                title(*kind, config, step.positions),
                step.rows,
                counts.launches.len(),
                counts.submissions.len(),
                copies(counts.uploads),
                copies(counts.downloads),
                copies(counts.copies),
                megabytes(weights),
                megabytes(cache),
                megabytes(activations),
                (weights + cache + activations) as f64 / floor,
                1e6 * floor / BANDWIDTH,
                1e6 * LAUNCH * counts.launches.len() as f64,
            );
        }
    }
    println!();
}

/// Each kind of launch of a step: its blocks, the waves of one a processor, and how full those are.
pub(crate) fn kernels(network: &str, config: &Config, (kind, steps): Steps<'_>) {
    let Some(first) = steps.first() else { return };
    let blocks: String = steps.iter().map(|step| format!(" N = {} |", step.rows)).collect();
    println!(
        "| {network}, {} | launches |{blocks} MB at N = {} | N = {} |",
        title(kind, config, first.positions),
        first.rows,
        steps[steps.len() - 1].rows
    );
    println!("|---|--:|{}--:|--:|", "--:|".repeat(steps.len()));
    for (launches, count) in alike(steps) {
        let fills: String =
            launches.iter().map(|launch| format!(" {} |", launch.map_or("–".into(), fill))).collect();
        let bytes = |launch: &Option<&Launched>| {
            launch.map_or("–".into(), |launch| megabytes(moved(launch).total()))
        };
        let [one, all] =
            [launches.first(), launches.last()].map(|launch| launch.map_or_else(String::new, bytes));
        println!("| {} | {count} |{fills} {one} | {all} |", name(&launches));
    }
    println!();
}

fn title(kind: Kind, config: &Config, [shared, own]: [usize; 2]) -> String {
    let kind = match (kind, config) {
        (Kind::Token, _) => "token",
        (Kind::Thought, Config::Huginn(_)) => "recurrence",
        (Kind::Thought, _) => "latent step",
    };
    format!("{kind}, {shared} shared + {own}")
}

fn moved(launch: &Launched) -> Moved {
    launch.moved.unwrap_or_default()
}

/// Their number and bytes.
fn copies(Copies { calls, bytes }: Copies) -> String {
    match (calls, bytes) {
        (0, _) => "–".into(),
        (_, ..1000) => format!("{calls}: {bytes} B"),
        _ => format!("{calls}: {:.1} kB", bytes as f64 / 1e3),
    }
}

fn megabytes(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    match megabytes {
        100.0.. => format!("{megabytes:.0}"),
        1.0.. => format!("{megabytes:.1}"),
        _ => format!("{megabytes:.3}"),
    }
}

/// A launch for each number of rows; `None` where there is none for so few.
type Alike<'a> = Vec<Option<&'a Launched>>;

/// Launches that are the same one of the steps, with how many are like them, in the order of the first.
fn alike(steps: &[Step]) -> Vec<(Alike<'_>, usize)> {
    let mut kinds: Vec<(Alike<'_>, usize)> = Vec::new();
    let Some(longest) = steps.iter().max_by_key(|step| step.counts.launches.len()) else { return kinds };
    let mut left: Vec<_> = steps.iter().map(|step| step.counts.launches.iter().peekable()).collect();
    for launch in &longest.counts.launches {
        let same = |other: &&Launched| operation(other.kernel) == operation(launch.kernel);
        let launches: Alike<'_> = left.iter_mut().map(|left| left.next_if(same)).collect();
        match kinds.iter_mut().find(|(kind, _)| *kind == launches) {
            Some((_, count)) => *count += 1,
            None => kinds.push((launches, 1)),
        }
    }
    kinds
}

/// A kernel's name without the size of its tiles.
fn operation(kernel: &str) -> &str {
    let sizes = ["_16", "_64", "_128", "_skinny", "_medium", "_tall"];
    sizes.iter().find_map(|size| kernel.strip_suffix(size)).unwrap_or(kernel)
}

/// Blocks, waves of one a processor, and how full these are: blocks go to all processors in turn, so that one has as many
/// as there are waves, side by side or one after the other.
fn fill(launch: &Launched) -> String {
    let blocks: usize = launch.grid.iter().map(|&blocks| blocks as usize).product();
    let waves = blocks.div_ceil(SMS);
    format!("{blocks} / {waves} / {:.0} %", 100.0 * blocks as f64 / (waves * SMS) as f64)
}

/// The kernels' names; what they have in common once.
fn name(launches: &Alike<'_>) -> String {
    let mut names: Vec<&str> = launches.iter().flatten().map(|launch| launch.kernel).collect();
    names.dedup();
    let [first, others @ ..] = &names[..] else { return String::new() };
    let stem = operation(first);
    let sizes = others.iter().map(|name| name.trim_start_matches(stem).replace('_', "/"));
    format!("`{first}{}`", sizes.collect::<String>())
}
