//! One question's line in questions.jsonl.

use std::collections::BTreeMap;

use fathom_search::aggregate::{Aggregation, UnparseableVotes, best_of_n, majority, weighted};
use fathom_search::cost::CorePasses;
use fathom_search::dataset::Question;
use fathom_search::solver::Outcome;
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// What one question came to. `null` stands for an answer that is no finite number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Index in the data set.
    pub(crate) index: usize,
    /// Its text.
    pub(crate) question: String,
    /// The gold answer.
    pub(crate) target: f64,
    /// By trajectory.
    pub(crate) answers: Vec<Option<f64>>,
    /// LatentRM's scores by trajectory; `None` without a reward model.
    pub(crate) scores: Option<Vec<Option<f32>>>,
    /// Whether each trajectory's answer equals the gold one.
    pub(crate) correct: Vec<bool>,
    /// The answer of each aggregation.
    pub(crate) chosen: BTreeMap<Aggregation, Option<f64>>,
    /// What each cost a model of recurrent depth.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) core_passes: BTreeMap<Aggregation, CorePasses>,
    /// Mean pairwise cosine dissimilarity of latents.
    pub(crate) diversity: Option<f64>,
    /// What it adds to the time of its run: the times of a run's records add up to the run's, also where several
    /// questions are answered at once.
    pub(crate) seconds: f64,
}

impl Record {
    /// The line of `outcome`.
    pub(crate) fn new(question: &Question, outcome: &Outcome, seconds: f64) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        let answers = &outcome.answers;
        let scored = !answers.is_empty() && answers.iter().all(|answer| answer.score.is_some());
        Self {
            index: question.index,
            question: question.question.clone(),
            target: question.target,
            answers: answers.iter().map(|answer| finite(answer.value)).collect(),
            scores: scored.then(|| {
                answers.iter().map(|answer| answer.score.filter(|score| score.is_finite())).collect()
            }),
            correct: answers.iter().map(|answer| answer.value == question.target).collect(),
            chosen: outcome.chosen.iter().map(|&(by, value)| (by, finite(value))).collect(),
            core_passes: outcome.passes.iter().copied().collect(),
            diversity: outcome.diversity.filter(|diversity| diversity.is_finite()),
            seconds,
        }
    }

    /// Number of correct trajectories.
    pub(crate) fn correct_count(&self) -> usize {
        self.correct.iter().filter(|&&correct| correct).count()
    }

    /// Whether `by` chose the gold answer; majority vote is recomputed where the run did not report it.
    pub(crate) fn chose_right(&self, by: Aggregation) -> Result<bool> {
        match self.chosen.get(&by) {
            Some(&chosen) => Ok(chosen == Some(self.target)),
            None => Ok(self.right_of_first(by, self.answers.len())?.unwrap_or(false)),
        }
    }

    /// Whether `by` would have chosen the gold answer from the first `n` trajectories, which are those of a run
    /// of n alone. `None` where that cannot be told: beam search, or no scores.
    pub(crate) fn right_of_first(&self, by: Aggregation, n: usize) -> Result<Option<bool>> {
        let values: Vec<f64> = self.answers.iter().take(n).map(|a| a.unwrap_or(f64::INFINITY)).collect();
        let scores = self.scores.as_ref().map(|scores| -> Vec<f32> {
            scores.iter().take(n).map(|score| score.unwrap_or(f32::NAN)).collect()
        });
        let chosen = match (by, scores) {
            (Aggregation::Majority, _) => majority(&values, UnparseableVotes::Count),
            (Aggregation::BestOfN, Some(scores)) => best_of_n(&values, &scores)?,
            (Aggregation::Weighted, Some(scores)) => weighted(&values, &scores)?,
            _ => return Ok(None),
        };
        Ok(Some(chosen == self.target))
    }
}

#[cfg(test)]
mod tests {
    use fathom_search::solver::Answer;

    use super::*;

    fn record() -> Record {
        let answer = |value, score| Answer { text: String::new(), value, score: Some(score) };
        let outcome = Outcome {
            answers: vec![
                answer(3.0, 0.5),
                answer(f64::INFINITY, 2.0),
                answer(4.0, 1.0),
                answer(4.0, f32::NAN),
            ],
            chosen: vec![(Aggregation::BestOfN, f64::INFINITY)],
            passes: Vec::new(),
            diversity: Some(f64::NAN),
        };
        let question = Question { index: 5, question: "q\n".to_owned(), target: 4.0 };
        Record::new(&question, &outcome, 0.25)
    }

    #[test]
    fn a_record_survives_its_line() {
        let line = serde_json::to_string(&record()).unwrap();
        assert_eq!(
            line,
            "{\"index\":5,\"question\":\"q\\n\",\"target\":4.0,\"answers\":[3.0,null,4.0,4.0],\
             \"scores\":[0.5,2.0,1.0,null],\"correct\":[false,false,true,true],\
             \"chosen\":{\"best-of-n\":null},\"diversity\":null,\"seconds\":0.25}"
        );
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record());
    }

    #[test]
    fn choices_of_the_first_n_are_recomputed() {
        let record = record();
        let right = |by, n| record.right_of_first(by, n).unwrap();
        assert_eq!(right(Aggregation::Majority, 1), Some(false));
        assert_eq!(right(Aggregation::Majority, 4), Some(true));
        assert_eq!(right(Aggregation::BestOfN, 3), Some(false), "the unparseable answer scores best");
        assert_eq!(right(Aggregation::Beam, 4), None);
        assert!(!record.chose_right(Aggregation::BestOfN).unwrap());
        assert!(record.chose_right(Aggregation::Majority).unwrap(), "not reported, so recomputed");
    }
}
