//! A run without a model: a setup, questions, and answers that are a function of the question.

use std::path::Path;

use fathom_model::perturbation::{Perturbation, Scope};
use fathom_search::aggregate::{Aggregation, UnparseableVotes, best_of_n, majority};
use fathom_search::dataset::Question;
use fathom_search::solver::{Answer, Outcome, SearchOptions};

use super::record::Record;
use super::setup::{Data, Setup};
use crate::error::{Error, Result};

/// A setup over `questions` questions.
pub(crate) fn setup(questions: usize) -> Setup {
    Setup {
        version: "0.1.0".to_owned(),
        model: "toy".to_owned(),
        reward: None,
        device: "cpu".to_owned(),
        dtype: "f32".to_owned(),
        data: Data { name: "sums".to_owned(), digest: "00".to_owned(), questions },
        limit: None,
        shard: None,
        search: SearchOptions {
            n: 5,
            perturbation: Perturbation::Noise { std: 0.3, scope: Scope::Full },
            steps: 3,
            aggregate: vec![Aggregation::Majority, Aggregation::BestOfN],
            beams: 4,
            candidates: 4,
            every: 1,
            seed: 0,
            max_answer_tokens: 20,
        },
    }
}

/// `count` questions; the gold answer of question i is i.
pub(crate) fn questions(count: usize) -> Vec<Question> {
    (0..count).map(|i| Question { index: i, question: format!("{i}"), target: i as f64 }).collect()
}

/// Answers `question` with its own number now and then, as a model would.
pub(crate) fn solve(question: &str) -> Result<Outcome> {
    let target: f64 = question.parse().map_err(|_| Error::Engine("not a number".into()))?;
    let draw = |n: usize| (target as usize * 7 + n * n * 3) % 11;
    let answers: Vec<Answer> = (0..5)
        .map(|n| Answer {
            text: String::new(),
            value: match draw(n) {
                0..5 => target,
                5 => f64::INFINITY,
                other => target + other as f64 / 3.0,
            },
            score: Some(draw(n + 1) as f32 / 7.0),
        })
        .collect();
    let values: Vec<f64> = answers.iter().map(|answer| answer.value).collect();
    let scores: Vec<f32> = answers.iter().filter_map(|answer| answer.score).collect();
    let chosen = vec![
        (Aggregation::Majority, majority(&values, UnparseableVotes::Count)),
        (Aggregation::BestOfN, best_of_n(&values, &scores)?),
    ];
    Ok(Outcome { answers, chosen, passes: Vec::new(), diversity: Some(0.1 + target / 7.0) })
}

/// A record without scores; diversity and time are a half.
pub(crate) fn record(index: usize, target: f64, values: &[f64]) -> Record {
    let answers = values.iter().map(|&value| Answer { text: String::new(), value, score: None }).collect();
    let chosen = vec![(Aggregation::Majority, majority(values, UnparseableVotes::Count))];
    let question = Question { index, question: index.to_string(), target };
    Record::new(&question, &Outcome { answers, chosen, passes: Vec::new(), diversity: Some(0.5) }, 0.5)
}

/// `record` with scores and what best-of-N makes of them.
pub(crate) fn scored(mut record: Record, scores: &[f32]) -> Record {
    let values: Vec<f64> = record.answers.iter().map(|answer| answer.unwrap_or(f64::INFINITY)).collect();
    let best = best_of_n(&values, scores).unwrap();
    record.scores = Some(scores.iter().copied().map(Some).collect());
    record.chosen.insert(Aggregation::BestOfN, best.is_finite().then_some(best));
    record.chosen.insert(Aggregation::Beam, None);
    record
}

/// A file's content without the times, which no two runs share.
pub(crate) fn without_times(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| {
            // In questions.jsonl the time ends a line; in report.json it has a line of its own.
            match line.find("\"seconds\"").or_else(|| line.find("\"trajectories_per_second\"")) {
                Some(at) => format!("{}\n", &line[..at]),
                None => format!("{line}\n"),
            }
        })
        .collect()
}
