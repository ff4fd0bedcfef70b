//! What the folder of an annotation holds.

use std::path::Path;

use fathom::Device;
use fathom_train::annotate::{Annotator, placeholder, shards::Annotations};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::table::percent;

/// Figures of all parts in a folder; fractions lie in [0, 1] and are absent where nothing is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    questions: usize,
    /// Questions with something to learn from.
    kept: usize,
    /// Share of their trajectories that are right.
    correct: Option<f64>,
    /// Mean of ỹ over the steps of right trajectories.
    value_of_correct: Option<f64>,
    /// The same of wrong ones.
    value_of_wrong: Option<f64>,
    /// Gold answers of 0 in this part, which the published annotation leaves out (spec latenttts §9.19).
    gold_zeros: usize,
}

impl Summary {
    pub(super) fn read(folder: &Path, annotator: &Annotator, gold_zeros: usize) -> Result<Self> {
        let failed = |cause: fathom_train::Error| Error::Engine(cause.into());
        let annotations = Annotations::open(&[folder.to_owned()]).map_err(failed)?;
        let latent = placeholder(annotator.model());
        let (mut values, mut kept) = ([Vec::new(), Vec::new()], 0);
        for index in annotations.kept() {
            let question = annotations.read(index, latent, &Device::Cpu).map_err(failed)?;
            for (estimations, correct) in question.estimations.iter().zip(question.correct) {
                let sum: f64 = estimations.iter().copied().map(f64::from).sum();
                values[usize::from(correct)].push(sum / estimations.len().max(1) as f64);
            }
            kept += 1;
        }
        let mean =
            |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let [wrong, right] = &values;
        let all = right.len() + wrong.len();
        Ok(Self {
            questions: annotations.len(),
            kept,
            correct: (all > 0).then(|| right.len() as f64 / all as f64),
            value_of_correct: mean(right),
            value_of_wrong: mean(wrong),
            gold_zeros,
        })
    }

    pub(super) fn text(&self) -> String {
        let Self { questions, kept, gold_zeros, .. } = self;
        let mut text = format!("{questions} questions, {kept} with right and wrong trajectories\n");
        if let (Some(correct), Some(right), Some(wrong)) =
            (self.correct, self.value_of_correct, self.value_of_wrong)
        {
            text += &format!(
                "of these {} % of trajectories right; mean value {right:.2} of right ones, {wrong:.2} of wrong ones\n",
                percent(correct)
            );
        }
        if *gold_zeros > 0 {
            text += &format!("{gold_zeros} gold answers are 0, and stay\n");
        }
        text
    }
}
