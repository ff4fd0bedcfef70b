//! report.json: what a run's records add up to.

use std::collections::BTreeMap;

use fathom_search::aggregate::Aggregation;
use fathom_search::cost::CorePasses;
use fathom_search::metrics::{Proportion, paired_bootstrap, pass_at_k, pass_at_powers};
use serde::Serialize;

use super::record::Record;
use super::setup::Setup;
use crate::error::{Error, Result};

/// The report of a run; fractions lie in [0, 1]. Everything but the times is a function of setup and records alone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Number of questions.
    pub(crate) questions: usize,
    /// Trajectories a question, N.
    pub(crate) n: usize,
    /// Unbiased pass@k by k.
    pub(crate) pass_at_k: BTreeMap<usize, f64>,
    /// Share of questions that any trajectory got right; `None` without questions.
    pub(crate) coverage: Option<f64>,
    /// By aggregation.
    pub(crate) accuracy: BTreeMap<Aggregation, Accuracy>,
    /// Mean cost of a question by aggregation, for a model of recurrent depth.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) core_passes: BTreeMap<Aggregation, MeanPasses>,
    /// Mean of the questions' diversities; `None` where no question has one.
    pub(crate) diversity: Option<f64>,
    /// Sum of what the questions add to the run's time: the time of the run, loading excluded.
    pub(crate) seconds: f64,
    /// Trajectories of all questions over that sum.
    pub(crate) trajectories_per_second: Option<f64>,
    /// What was run.
    pub(crate) options: Setup,
}

/// Mean of [`CorePasses`] over questions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct MeanPasses {
    pub(crate) prompt: f64,
    pub(crate) thought: f64,
    pub(crate) answer: f64,
    pub(crate) reward: f64,
    /// Of all four together.
    pub(crate) total: f64,
}

impl MeanPasses {
    /// `None` where no question has a cost.
    fn of(passes: &[CorePasses]) -> Option<Self> {
        let of = |part: fn(&CorePasses) -> usize| {
            mean(&passes.iter().map(|passes| part(passes) as f64).collect::<Vec<_>>())
        };
        Some(Self {
            prompt: of(|passes| passes.prompt)?,
            thought: of(|passes| passes.thought)?,
            answer: of(|passes| passes.answer)?,
            reward: of(|passes| passes.reward)?,
            total: of(|passes| passes.total())?,
        })
    }
}

/// How often an aggregation chose the gold answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Accuracy {
    /// Share of questions.
    pub(crate) value: f64,
    /// Its standard error.
    pub(crate) standard_error: f64,
    /// How much more often than majority vote did, on the same questions; absent for majority vote itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) difference_from_majority: Option<Difference>,
}

/// A paired difference with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Difference {
    /// The difference of the shares.
    pub(crate) value: f64,
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

impl Report {
    /// Adds up `records`.
    ///
    /// # Errors
    /// Records whose answers and scores do not belong together.
    pub(crate) fn new(setup: &Setup, records: &[Record]) -> Result<Self> {
        let n = setup.search.n;
        let counts: Vec<usize> = records.iter().map(Record::correct_count).collect();
        let majority = chosen_right(records, Aggregation::Majority)?;
        let (mut accuracy, mut core_passes) = (BTreeMap::new(), BTreeMap::new());
        for &by in &setup.search.aggregate {
            let right = chosen_right(records, by)?;
            let Some(Proportion { value, standard_error }) = Proportion::of(right.iter().copied()) else {
                continue;
            };
            let difference_from_majority = match by {
                Aggregation::Majority => None,
                _ => Some(difference(&right, &majority, setup.search.seed)?),
            };
            let passes: Vec<CorePasses> =
                records.iter().filter_map(|record| record.core_passes.get(&by).copied()).collect();
            core_passes.extend(MeanPasses::of(&passes).map(|passes| (by, passes)));
            accuracy.insert(by, Accuracy { value, standard_error, difference_from_majority });
        }
        let diversities: Vec<f64> = records.iter().filter_map(|record| record.diversity).collect();
        // Not `sum`, which is -0.0 over nothing.
        let seconds = records.iter().fold(0.0, |sum, record| sum + record.seconds);
        Ok(Self {
            questions: records.len(),
            n,
            pass_at_k: pass_at_powers(n, &counts),
            coverage: Proportion::of(counts.iter().map(|&count| count > 0)).map(|share| share.value),
            accuracy,
            core_passes,
            diversity: mean(&diversities),
            seconds,
            trajectories_per_second: (seconds > 0.0).then(|| (records.len() * n) as f64 / seconds),
            options: setup.clone(),
        })
    }
}

fn chosen_right(records: &[Record], by: Aggregation) -> Result<Vec<bool>> {
    records.iter().map(|record| record.chose_right(by)).collect()
}

fn difference(ours: &[bool], majority: &[bool], seed: u64) -> Result<Difference> {
    let paired = paired_bootstrap(ours, majority, seed).map_err(|e| Error::Engine(e.into()))?;
    Ok(Difference { value: paired.difference, low: paired.low, high: paired.high })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// A share of questions at a number of trajectories.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// Trajectories.
    pub(crate) n: usize,
    /// The share.
    pub(crate) value: f64,
    /// Its standard error over questions.
    pub(crate) standard_error: f64,
}

/// Shares against the number of trajectories.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// What was measured.
    pub(crate) name: String,
    /// By growing n; a single point for beam search.
    pub(crate) points: Vec<Point>,
}

/// Coverage and the accuracy of each aggregation at n = 1, 2, 4 … N, from one run of N: the first n trajectories
/// are those of a run of n, so curves nest. Beam search stands at its own number of candidates, B·C.
///
/// # Errors
/// Records whose answers and scores do not belong together.
pub(crate) fn curves(setup: &Setup, records: &[Record]) -> Result<Vec<Curve>> {
    let sizes: Vec<usize> = pass_at_powers(setup.search.n, &[0]).into_keys().collect();
    let mut curves = vec![Curve {
        name: "coverage".to_owned(),
        points: sizes.iter().filter_map(|&k| coverage_point(setup.search.n, k, records)).collect(),
    }];
    for &by in &setup.search.aggregate {
        let mut points = Vec::new();
        for &n in &sizes {
            let right: Vec<Option<bool>> =
                records.iter().map(|record| record.right_of_first(by, n)).collect::<Result<_>>()?;
            points.extend(accuracy_point(n, right.into_iter().collect::<Option<Vec<bool>>>()));
        }
        if by == Aggregation::Beam {
            let width = setup.search.beams.saturating_mul(setup.search.candidates);
            points.extend(accuracy_point(width, Some(chosen_right(records, by)?)));
        }
        curves.push(Curve { name: by.to_string(), points });
    }
    curves.retain(|curve| !curve.points.is_empty());
    Ok(curves)
}

fn accuracy_point(n: usize, right: Option<Vec<bool>>) -> Option<Point> {
    let Proportion { value, standard_error } = Proportion::of(right?)?;
    Some(Point { n, value, standard_error })
}

/// Mean of pass@k over questions; each question's estimate is one draw, so the error is their deviation over √Q.
fn coverage_point(n: usize, k: usize, records: &[Record]) -> Option<Point> {
    let estimates: Vec<f64> = records.iter().map(|record| pass_at_k(n, record.correct_count(), k)).collect();
    let value = mean(&estimates)?;
    let squares: Vec<f64> = estimates.iter().map(|estimate| (estimate - value).powi(2)).collect();
    Some(Point { n: k, value, standard_error: (mean(&squares)? / estimates.len() as f64).sqrt() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::testing::{record, scored, setup};

    /// Two questions of four trajectories: majority right on the first alone, best-of-N on both.
    fn sample() -> (Setup, Vec<Record>) {
        let mut setup = setup(2);
        setup.search.n = 4;
        setup.search.aggregate = vec![Aggregation::Majority, Aggregation::BestOfN];
        let records = vec![
            scored(record(0, 5.0, &[5.0, 5.0, 1.0, 2.0]), &[0.0, 3.0, 1.0, 2.0]),
            scored(record(1, 7.0, &[8.0, 8.0, 7.0, f64::INFINITY]), &[0.0, 1.0, 2.0, 1.0]),
        ];
        (setup, records)
    }

    #[test]
    fn figures_equal_those_computed_by_hand() {
        let (setup, records) = sample();
        let report = Report::new(&setup, &records).unwrap();
        assert_eq!((report.questions, report.n), (2, 4));
        // pass@1 = (2/4 + 1/4)/2; pass@2 = ((1 − 1/6) + (1 − 3/6))/2 by counting the pairs without a right one.
        let close = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        close(report.pass_at_k[&1], 0.375);
        close(report.pass_at_k[&2], (5.0 / 6.0 + 0.5) / 2.0);
        close(report.pass_at_k[&4], 1.0);
        assert_eq!(report.pass_at_k.len(), 3);
        assert_eq!(report.coverage, Some(1.0));
        let majority = report.accuracy[&Aggregation::Majority];
        close(majority.value, 0.5);
        // √(p(1 − p)/Q) = √(0.25/2).
        close(majority.standard_error, 0.125f64.sqrt());
        assert_eq!(majority.difference_from_majority, None);
        let best = report.accuracy[&Aggregation::BestOfN];
        assert_eq!((best.value, best.standard_error), (1.0, 0.0));
        let difference = best.difference_from_majority.unwrap();
        // Resampling two questions that differ by 0 and 1 gives means 0, ½ and 1, the ends a quarter of the time each.
        assert_eq!((difference.value, difference.low, difference.high), (0.5, 0.0, 1.0));
        close(report.diversity.unwrap(), 0.5);
        close(report.seconds, 1.0);
        close(report.trajectories_per_second.unwrap(), 8.0);
    }

    #[test]
    fn costs_are_means_over_questions() {
        let (setup, mut records) = sample();
        assert!(Report::new(&setup, &records).unwrap().core_passes.is_empty(), "no recurrent depth");
        for (record, thought) in records.iter_mut().zip([8, 16]) {
            let passes = CorePasses { prompt: 10, thought, answer: 3, reward: 0 };
            record.core_passes = [(Aggregation::Majority, passes)].into();
        }
        let report = Report::new(&setup, &records).unwrap();
        let expected = MeanPasses { prompt: 10.0, thought: 12.0, answer: 3.0, reward: 0.0, total: 25.0 };
        assert_eq!(report.core_passes, [(Aggregation::Majority, expected)].into());
    }

    #[test]
    fn curves_end_at_the_report_and_nest() {
        let (mut setup, records) = sample();
        setup.search.aggregate.push(Aggregation::Beam);
        let report = Report::new(&setup, &records).unwrap();
        let curves = curves(&setup, &records).unwrap();
        let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["coverage", "majority", "best-of-n", "beam"]);
        let values = |i: usize| curves[i].points.iter().map(|p| (p.n, p.value)).collect::<Vec<_>>();
        assert_eq!(values(0), report.pass_at_k.clone().into_iter().collect::<Vec<_>>());
        assert_eq!(values(1), [(1, 0.5), (2, 0.5), (4, 0.5)]);
        assert_eq!(values(2), [(1, 0.5), (2, 0.5), (4, 1.0)]);
        assert_eq!(values(3), [(16, 0.0)], "beams times candidates");
    }

    #[test]
    fn json_has_the_promised_fields_and_no_question_gives_nulls() {
        let text = crate::output::json(&Report::new(&setup(0), &[]).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let keys = [
            "accuracy",
            "coverage",
            "diversity",
            "n",
            "options",
            "pass_at_k",
            "questions",
            "seconds",
            "trajectories_per_second",
        ];
        assert_eq!(value.as_object().unwrap().keys().collect::<Vec<_>>(), keys);
        assert!(value["coverage"].is_null() && value["trajectories_per_second"].is_null());
        assert!(curves(&setup(0), &[]).unwrap().is_empty());
    }
}
