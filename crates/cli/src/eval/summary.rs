//! Reports as tables for people.

use fathom_model::perturbation::{Perturbation, Scope, Sites};

use super::report::{MeanPasses, Report};
use super::setup::{Setup, point_names};
use crate::table::{Align, Table, percent};

/// One line: data, questions, sampler, N.
pub(super) fn describe(setup: &Setup) -> String {
    let mut parts = vec![setup.data.name.clone(), format!("{} questions", setup.indices().len())];
    parts.extend(setup.shard.map(|shard| format!("shard {shard}")));
    parts.push(sampler(&setup.search.perturbation));
    parts.push(format!("N = {}", setup.search.n));
    parts.push(format!("seed {}", setup.search.seed));
    parts.join(", ")
}

fn sampler(perturbation: &Perturbation) -> String {
    match perturbation {
        Perturbation::None => "deterministic".to_owned(),
        Perturbation::Dropout { p, sites, scope } => {
            let sites = match sites {
                Sites::Resid => "",
                Sites::Mlp => " at mlp",
                Sites::ResidEmbd => " at resid+embd",
            };
            format!("dropout p = {p}{sites}{}", scope_name(*scope))
        }
        Perturbation::Noise { std, scope } => format!("noise σ = {std}{}", scope_name(*scope)),
        Perturbation::State => "resampled initial state".to_owned(),
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Full => "",
        Scope::Latent => " in latents alone",
    }
}

/// The report of one run.
pub(super) fn one(report: &Report) -> String {
    let mut table = Table::new([
        ("", Align::Left),
        ("%", Align::Right),
        ("± SE", Align::Right),
        ("against majority [95 %]", Align::Right),
    ]);
    for (k, &pass) in &report.pass_at_k {
        let name = if *k == report.n { format!("pass@{k} = coverage") } else { format!("pass@{k}") };
        table.row([name, percent(pass)]);
    }
    for (by, accuracy) in &report.accuracy {
        let signed = |fraction: f64| format!("{:+.1}", 100.0 * fraction);
        let difference = accuracy.difference_from_majority.map_or_else(String::new, |d| {
            format!("{} [{}, {}]", signed(d.value), signed(d.low), signed(d.high))
        });
        table.row([by.to_string(), percent(accuracy.value), percent(accuracy.standard_error), difference]);
    }
    let cost = costs(report).map(|table| format!("\n{}", table.render())).unwrap_or_default();
    format!("{}\n\n{}{cost}\n{}", describe(&report.options), table.render(), closing(report))
}

/// Core passes of each aggregation; none for a latent chain.
fn costs(report: &Report) -> Option<Table> {
    let parts = ["prompt", "thought", "answer", "reward", "total"];
    let columns = parts.map(|name| (name, Align::Right));
    let mut table = Table::new([("core passes a question", Align::Left)].into_iter().chain(columns));
    for (by, passes) in &report.core_passes {
        let MeanPasses { prompt, thought, answer, reward, total } = *passes;
        let cells = [prompt, thought, answer, reward, total].map(|mean| format!("{mean:.1}"));
        table.row([by.to_string()].into_iter().chain(cells));
    }
    (!report.core_passes.is_empty()).then_some(table)
}

fn closing(report: &Report) -> String {
    let mut parts = Vec::new();
    parts.extend(report.diversity.map(|diversity| format!("diversity {diversity:.4}")));
    parts.push(format!("{:.1} s", report.seconds));
    parts.extend(report.trajectories_per_second.map(|speed| format!("{speed:.0} trajectories/s")));
    format!("{}\n", parts.join(", "))
}

/// The reports of a sweep, a row each.
pub(super) fn many(reports: &[Report]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let mut columns = vec![("setting".to_owned(), Align::Left)];
    columns.extend(["N", "pass@1 %", "coverage %"].map(|name| (name.to_owned(), Align::Right)));
    let aggregations = &first.options.search.aggregate;
    columns.extend(aggregations.iter().map(|by| (format!("{by} %"), Align::Right)));
    columns.extend(["diversity", "seconds"].map(|name| (name.to_owned(), Align::Right)));
    let mut table = Table::new(columns);
    let names = point_names(reports.iter().map(|report| &report.options.search));
    for (name, report) in names.into_iter().zip(reports) {
        let mut cells = vec![
            name,
            report.n.to_string(),
            percent(report.pass_at_k.get(&1).copied().unwrap_or(f64::NAN)),
            percent(report.coverage.unwrap_or(f64::NAN)),
        ];
        cells.extend(aggregations.iter().map(|by| {
            let accuracy = report.accuracy.get(by);
            accuracy.map_or_else(
                || "-".to_owned(),
                |accuracy| format!("{} ± {}", percent(accuracy.value), percent(accuracy.standard_error)),
            )
        }));
        cells.push(report.diversity.map_or_else(|| "-".to_owned(), |diversity| format!("{diversity:.4}")));
        cells.push(format!("{:.1}", report.seconds));
        table.row(cells);
    }
    let data = &first.options.data.name;
    format!("{data}, {} questions, seed {}\n\n{}", first.questions, first.options.search.seed, table.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::testing::{record, scored, setup};

    fn report() -> Report {
        let mut setup = setup(2);
        setup.search.n = 2;
        let records = [
            scored(record(0, 5.0, &[5.0, 1.0]), &[0.0, 1.0]),
            scored(record(1, 7.0, &[8.0, 7.0]), &[0.0, 1.0]),
        ];
        Report::new(&setup, &records).unwrap()
    }

    #[test]
    fn one_report_is_a_row_a_figure() {
        let expected = "\
sums, 2 questions, noise σ = 0.3, N = 2, seed 0

                       %  ± SE  against majority [95 %]
pass@1              50.0
pass@2 = coverage  100.0
majority            50.0  35.4
best-of-n           50.0  35.4    +0.0 [-100.0, +100.0]

diversity 0.5000, 1.0 s, 4 trajectories/s
";
        assert_eq!(one(&report()), expected);
    }

    #[test]
    fn a_sweep_is_a_row_a_setting() {
        let expected = "\
sums, 2 questions, seed 0

setting       N  pass@1 %  coverage %   majority %  best-of-n %  diversity  seconds
noise-std0.3  2      50.0       100.0  50.0 ± 35.4  50.0 ± 35.4     0.5000      1.0
";
        assert_eq!(many(&[report()]), expected);
    }
}
