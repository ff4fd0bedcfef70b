//! `fathom solve`: one question, every trajectory shown.

use std::collections::BTreeMap;

use fathom_search::aggregate::Aggregation;
use fathom_search::cost::CorePasses;
use fathom_search::solver::{Outcome, SearchOptions};
use serde::Serialize;

use crate::args::SolveArgs;
use crate::engine;
use crate::error::{Error, Result};
use crate::output;
use crate::table::{Align, Table, number};

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Solution<'a> {
    question: &'a str,
    answers: Vec<Trajectory<'a>>,
    votes: Vec<Votes>,
    chosen: BTreeMap<Aggregation, Option<f64>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    core_passes: BTreeMap<Aggregation, CorePasses>,
    diversity: Option<f64>,
    options: &'a SearchOptions,
}

/// One trajectory; a `null` value could not be read as a number.
#[derive(Debug, Serialize)]
struct Trajectory<'a> {
    value: Option<f64>,
    text: &'a str,
    score: Option<f32>,
}

/// How many trajectories gave an answer.
#[derive(Debug, PartialEq, Serialize)]
struct Votes {
    answer: Option<f64>,
    count: usize,
}

/// Answers the question and prints the result.
///
/// # Errors
/// Bad options, a model that cannot be used, a question it cannot read, a full standard output.
pub(crate) fn run(arguments: &SolveArgs) -> Result<()> {
    let settings = arguments.search.check(&arguments.model)?;
    if settings.len() > 1 {
        return Err(Error::option(
            "--sampler, --dropout-p, --noise-std, --steps",
            "solve takes one value of each",
        ));
    }
    if arguments.question.trim().is_empty() {
        return Err(Error::option("QUESTION", "is blank"));
    }
    arguments.model.start_threads()?;
    let resolved = settings.resolve(&engine::defaults(&arguments.model)?);
    for options in &resolved {
        let engine = engine::open(&arguments.model, options)?;
        let outcome = engine.solve(&arguments.question)?;
        let solution = Solution::new(&arguments.question, &outcome, options);
        output::print(&if arguments.json { output::json(&solution)? } else { solution.table() })?;
    }
    Ok(())
}

impl<'a> Solution<'a> {
    fn new(question: &'a str, outcome: &'a Outcome, options: &'a SearchOptions) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            question,
            answers: outcome
                .answers
                .iter()
                .map(|a| Trajectory {
                    value: finite(a.value),
                    text: &a.text,
                    score: a.score.filter(|score| score.is_finite()),
                })
                .collect(),
            votes: votes(outcome.answers.iter().map(|a| finite(a.value))),
            chosen: outcome.chosen.iter().map(|&(by, value)| (by, finite(value))).collect(),
            core_passes: outcome.passes.iter().copied().collect(),
            diversity: outcome.diversity,
            options,
        }
    }

    fn table(&self) -> String {
        let shown = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), number);
        let scored = self.answers.iter().any(|answer| answer.score.is_some());
        let mut columns = vec![("trajectory", Align::Right), ("answer", Align::Right)];
        columns.extend(scored.then_some(("score", Align::Right)));
        columns.push(("text", Align::Left));
        let mut trajectories = Table::new(columns);
        for (i, answer) in self.answers.iter().enumerate() {
            let mut cells = vec![i.to_string(), shown(answer.value)];
            cells
                .extend(scored.then(|| answer.score.map_or_else(String::new, |score| format!("{score:.3}"))));
            cells.push(answer.text.trim().to_owned());
            trajectories.row(cells);
        }
        let mut tally = Table::new([("votes", Align::Right), ("answer", Align::Right)]);
        for votes in &self.votes {
            tally.row([votes.count.to_string(), shown(votes.answer)]);
        }
        let counted = !self.core_passes.is_empty();
        let mut columns = vec![("chosen by", Align::Left), ("answer", Align::Right)];
        columns.extend(counted.then_some(("core passes", Align::Right)));
        let mut chosen = Table::new(columns);
        for (by, &value) in &self.chosen {
            let passes = self.core_passes.get(by).map(|passes| passes.total().to_string());
            chosen.row([by.to_string(), shown(value)].into_iter().chain(passes));
        }
        format!("{}\n{}\n{}", trajectories.render(), tally.render(), chosen.render())
    }
}

/// Counts equal answers, most votes first, ties by first appearance as in majority voting.
fn votes(answers: impl Iterator<Item = Option<f64>>) -> Vec<Votes> {
    let mut votes: Vec<Votes> = Vec::new();
    for answer in answers {
        match votes.iter_mut().find(|votes| votes.answer == answer) {
            Some(votes) => votes.count += 1,
            None => votes.push(Votes { answer, count: 1 }),
        }
    }
    votes.sort_by_key(|votes| std::cmp::Reverse(votes.count));
    votes
}

#[cfg(test)]
mod tests {
    use fathom_model::perturbation::Perturbation;
    use fathom_search::solver::Answer;

    use super::*;

    fn options() -> SearchOptions {
        SearchOptions {
            n: 4,
            perturbation: Perturbation::State,
            steps: 4,
            aggregate: vec![Aggregation::Majority, Aggregation::BestOfN],
            beams: 4,
            candidates: 4,
            every: 1,
            seed: 0,
            max_answer_tokens: 20,
        }
    }

    fn outcome() -> Outcome {
        let answer = |value, text: &str, score| Answer { text: text.to_owned(), value, score: Some(score) };
        Outcome {
            answers: vec![
                answer(f64::INFINITY, "### ?", f32::NAN),
                answer(18.0, "### 18", 1.5),
                answer(7.0, "### 7", 0.25),
                answer(18.0, "### 18", -1.0),
            ],
            chosen: vec![(Aggregation::Majority, 18.0), (Aggregation::BestOfN, f64::INFINITY)],
            passes: Vec::new(),
            diversity: Some(0.5),
        }
    }

    #[test]
    fn json_has_nulls_where_there_is_no_number() {
        let (outcome, options) = (outcome(), options());
        let text = output::json(&Solution::new("How many?", &outcome, &options)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["answers"][0], serde_json::json!({"value": null, "text": "### ?", "score": null}));
        assert_eq!(value["answers"][2], serde_json::json!({"value": 7.0, "text": "### 7", "score": 0.25}));
        assert_eq!(value["chosen"], serde_json::json!({"majority": 18.0, "best-of-n": null}));
        let votes = serde_json::json!([
            {"answer": 18.0, "count": 2}, {"answer": null, "count": 1}, {"answer": 7.0, "count": 1}
        ]);
        assert_eq!(value["votes"], votes);
        assert_eq!(value["options"]["n"], 4);
    }

    #[test]
    fn the_table_shows_every_trajectory_the_votes_and_the_choices() {
        let (outcome, options) = (outcome(), options());
        let table = Solution::new("How many?", &outcome, &options).table();
        let expected = "\
trajectory  answer   score  text
         0    none          ### ?
         1      18   1.500  ### 18
         2       7   0.250  ### 7
         3      18  -1.000  ### 18

votes  answer
    2      18
    1    none
    1       7

chosen by  answer
majority       18
best-of-n    none
";
        assert_eq!(table, expected);
    }
}
