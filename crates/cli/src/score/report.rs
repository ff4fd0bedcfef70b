//! What scoring found: a line a question, and accuracies by shots and r.

use fathom_search::choices::{Encoded, Item, best, saturation};
use fathom_search::metrics::Proportion;
use serde::Serialize;

use super::options::Normalise;
use crate::eval::setup::Data;
use crate::table::{Align, Table, percent};

/// Everything that the scores depend on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Setup {
    pub(super) version: &'static str,
    pub(super) model: String,
    pub(super) device: String,
    pub(super) dtype: String,
    pub(super) data: Data,
    pub(super) shots_from: Option<Data>,
    pub(super) limit: Option<usize>,
    pub(super) seed: u64,
    /// Rising.
    pub(super) steps: Vec<usize>,
    /// Rising.
    pub(super) shots: Vec<usize>,
    /// What decides.
    pub(super) normalise: Normalise,
}

/// A line of results.jsonl: one question behind some shots.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Record {
    question: usize,
    shots: usize,
    /// The right choice.
    answer: usize,
    /// Tokens of each choice.
    tokens: Vec<usize>,
    /// Bytes of each choice.
    bytes: Vec<usize>,
    by_steps: Vec<AtSteps>,
}

/// One r.
#[derive(Debug, Clone, Serialize)]
struct AtSteps {
    steps: usize,
    /// ln p of each choice, summed over its tokens.
    log_likelihoods: Vec<f64>,
    /// The choice that the run's normalisation picks; `null` where no value is a number.
    chosen: Option<usize>,
}

impl Record {
    /// `by_choice[c][r]` is ln p of choice c at the r-th number of iterations.
    pub(super) fn new(
        item: &Item,
        shots: usize,
        encoded: &Encoded,
        by_choice: Vec<Vec<f64>>,
        setup: &Setup,
    ) -> Self {
        let mut record = Self {
            question: item.index,
            shots,
            answer: item.answer,
            tokens: encoded.continuations.iter().map(Vec::len).collect(),
            bytes: item.choices.iter().map(String::len).collect(),
            by_steps: Vec::with_capacity(setup.steps.len()),
        };
        for (place, &steps) in setup.steps.iter().enumerate() {
            let log_likelihoods: Vec<f64> =
                by_choice.iter().filter_map(|by_r| by_r.get(place).copied()).collect();
            let chosen = record.choose(&log_likelihoods, setup.normalise);
            record.by_steps.push(AtSteps { steps, log_likelihoods, chosen });
        }
        record
    }

    fn choose(&self, log_likelihoods: &[f64], normalise: Normalise) -> Option<usize> {
        let by = |lengths: &[usize]| -> Vec<f64> {
            log_likelihoods.iter().zip(lengths).map(|(sum, &length)| sum / length as f64).collect()
        };
        match normalise {
            Normalise::None => best(log_likelihoods),
            Normalise::Tokens => best(&by(&self.tokens)),
            Normalise::Bytes => best(&by(&self.bytes)),
        }
    }

    fn is_right(&self, place: usize, normalise: Normalise) -> bool {
        let at = self.by_steps.get(place);
        at.is_some_and(|at| self.choose(&at.log_likelihoods, normalise) == Some(self.answer))
    }
}

/// The content of scores.json.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) options: Setup,
    /// Questions that are scored.
    pub(super) questions: usize,
    /// Accuracy of guessing.
    pub(super) chance: f64,
    pub(super) rows: Vec<Row>,
}

/// One number of shots.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) shots: usize,
    /// The smallest r whose accuracy lies within one standard error of the highest.
    pub(super) saturates_at: Option<usize>,
    pub(super) cells: Vec<Cell>,
}

/// One number of shots at one r: accuracy by what is compared.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) steps: usize,
    none: Option<Proportion>,
    tokens: Option<Proportion>,
    bytes: Option<Proportion>,
}

impl Cell {
    /// Accuracy as `normalise` decides.
    pub(super) fn accuracy(&self, normalise: Normalise) -> Option<Proportion> {
        match normalise {
            Normalise::None => self.none,
            Normalise::Tokens => self.tokens,
            Normalise::Bytes => self.bytes,
        }
    }
}

impl Report {
    /// Of the records of all shots on `items`.
    pub(super) fn new(options: Setup, items: &[Item], records: &[Record]) -> Self {
        let guess = |item: &Item| 1.0 / item.choices.len() as f64;
        let chance = items.iter().map(guess).sum::<f64>() / items.len().max(1) as f64;
        let row = |&shots: &usize| {
            let of: Vec<&Record> = records.iter().filter(|record| record.shots == shots).collect();
            let cell = |(place, &steps): (usize, &usize)| {
                let [none, tokens, bytes] = Normalise::ALL
                    .map(|normalise| Proportion::of(of.iter().map(|one| one.is_right(place, normalise))));
                Cell { steps, none, tokens, bytes }
            };
            let cells: Vec<Cell> = options.steps.iter().enumerate().map(cell).collect();
            Row { shots, saturates_at: saturates_at(&cells, options.normalise), cells }
        };
        let rows = options.shots.iter().map(row).collect();
        Self { questions: items.len(), chance, rows, options }
    }

    /// One line: data, questions, what decides.
    pub(super) fn describe(&self) -> String {
        let Setup { data, normalise, seed, .. } = &self.options;
        format!("{}, {} questions, largest {}, seed {seed}", data.name, self.questions, normalise.name())
    }

    /// Shots by r, for people.
    pub(super) fn table(&self) -> String {
        let mut columns = vec![("shots".to_owned(), Align::Right)];
        columns.extend(self.options.steps.iter().map(|r| (format!("r = {r} %"), Align::Right)));
        columns.push(("saturates at r".to_owned(), Align::Right));
        let mut table = Table::new(columns);
        for row in &self.rows {
            let mut cells = vec![row.shots.to_string()];
            cells.extend(row.cells.iter().map(|cell| {
                cell.accuracy(self.options.normalise).map_or_else(String::new, |accuracy| {
                    format!("{} ± {}", percent(accuracy.value), percent(accuracy.standard_error))
                })
            }));
            cells.push(row.saturates_at.map_or_else(String::new, |r| r.to_string()));
            table.row(cells);
        }
        format!("{}, chance {} %\n\n{}", self.describe(), percent(self.chance), table.render())
    }
}

fn saturates_at(cells: &[Cell], normalise: Normalise) -> Option<usize> {
    let accuracies: Vec<Proportion> = cells.iter().filter_map(|cell| cell.accuracy(normalise)).collect();
    let values: Vec<f64> = accuracies.iter().map(|accuracy| accuracy.value).collect();
    let slack = accuracies[best(&values)?].standard_error;
    saturation(&values, slack).and_then(|place| cells.get(place)).map(|cell| cell.steps)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn item(index: usize) -> Item {
        let choices = vec!["yes".to_owned(), "certainly".to_owned()];
        Item { index, question: "Is it?".to_owned(), choices, answer: 1 }
    }

    fn setup(normalise: Normalise) -> Setup {
        let data = Data { name: "set".into(), digest: "d".into(), questions: 4 };
        Setup {
            version: "1",
            model: "m".into(),
            device: "cpu".into(),
            dtype: "f32".into(),
            data,
            shots_from: None,
            limit: None,
            seed: 0,
            steps: vec![1, 4, 8],
            shots: vec![0, 2],
            normalise,
        }
    }

    /// Four questions: right by the sum from r = 4 on without shots, one of four before; with two shots always.
    pub(in crate::score) fn report() -> Report {
        let setup = setup(Normalise::None);
        let encoded = Encoded { prompt: vec![1], continuations: vec![vec![2], vec![3, 4]] };
        let items: Vec<Item> = (0..4).map(item).collect();
        let record = |item: &Item, shots| {
            let first = if shots == 2 || item.index == 0 { -1.0 } else { -9.0 };
            Record::new(item, shots, &encoded, vec![vec![-2.0; 3], vec![first, -1.0, -1.0]], &setup)
        };
        let records: Vec<Record> =
            [0, 2].iter().flat_map(|&shots| items.iter().map(move |item| record(item, shots))).collect();
        Report::new(setup.clone(), &items, &records)
    }

    #[test]
    fn accuracies_stand_by_shots_and_r() {
        let expected = "\
set, 4 questions, largest log-likelihood, seed 0, chance 50.0 %

shots      r = 1 %      r = 4 %      r = 8 %  saturates at r
    0  25.0 ± 21.7  100.0 ± 0.0  100.0 ± 0.0               4
    2  100.0 ± 0.0  100.0 ± 0.0  100.0 ± 0.0               1
";
        assert_eq!(report().table(), expected);
    }

    #[test]
    fn lengths_decide_where_they_are_asked_for() {
        let encoded = Encoded { prompt: vec![1], continuations: vec![vec![2], vec![3, 4]] };
        // Sums −2 and −3; by token −2 and −1.5; by byte −2/3 and −1/3.
        let sums = || vec![vec![-2.0], vec![-3.0]];
        for (normalise, chosen) in [(Normalise::None, 0), (Normalise::Tokens, 1), (Normalise::Bytes, 1)] {
            let setup = Setup { steps: vec![3], ..setup(normalise) };
            let record = Record::new(&item(0), 0, &encoded, sums(), &setup);
            let line = serde_json::to_value(&record).unwrap();
            let expected = serde_json::json!({
                "question": 0, "shots": 0, "answer": 1, "tokens": [1, 2], "bytes": [3, 9],
                "by_steps": [{"steps": 3, "log_likelihoods": [-2.0, -3.0], "chosen": chosen}],
            });
            assert_eq!(line, expected);
            let report = Report::new(setup, &[item(0)], &[record]);
            let value = |by: Normalise| report.rows[0].cells[0].accuracy(by).unwrap().value;
            assert_eq!(Normalise::ALL.map(value), [0.0, 1.0, 1.0]);
        }
    }
}
