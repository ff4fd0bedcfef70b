//! What a run is made of: everything its answers depend on.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use fathom_model::perturbation::Perturbation;
use fathom_search::solver::SearchOptions;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

/// The I-th of M parts of a data set: question i belongs to part (i mod M) + 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shard {
    /// I, from 1 to M.
    pub(crate) index: usize,
    /// M.
    pub(crate) count: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        text.split_once('/')
            .and_then(|(index, count)| Some(Self { index: index.parse().ok()?, count: count.parse().ok()? }))
            .filter(|shard| (1..=shard.count).contains(&shard.index))
            .ok_or_else(|| "must be I/M with I from 1 to M".to_owned())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Which data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Data {
    /// Its name, for people.
    pub(crate) name: String,
    /// Digest of its content.
    pub(crate) digest: String,
    /// Questions in the whole set.
    pub(crate) questions: usize,
}

/// The content of run.json, and the options of a report: two runs with equal setups give equal answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// Version of this program.
    pub(crate) version: String,
    /// Identity of the model.
    pub(crate) model: String,
    /// Identity of the reward model.
    pub(crate) reward: Option<String>,
    /// Kind of device: results are bit-equal within one kind.
    pub(crate) device: String,
    /// Type of weights and products.
    pub(crate) dtype: String,
    /// The data set.
    pub(crate) data: Data,
    /// Only so many questions from its start.
    pub(crate) limit: Option<usize>,
    /// Only this part of them.
    pub(crate) shard: Option<Shard>,
    /// How each question is searched.
    pub(crate) search: SearchOptions,
}

impl Setup {
    /// Indices of the questions of this run, in data order. Lazy, and total for any recorded numbers: a damaged
    /// run.json must not cost time or memory.
    pub(crate) fn indices(&self) -> impl ExactSizeIterator<Item = usize> + use<> {
        let end = self.limit.map_or(self.data.questions, |limit| limit.min(self.data.questions));
        let (first, step) =
            self.shard.map_or((0, 1), |part| (part.index.saturating_sub(1), part.count.max(1)));
        (first..end).step_by(step)
    }

    /// Refuses `recorded`, the text of `path`, unless it is this very setup.
    ///
    /// # Errors
    /// Text that is no JSON, or the first field that differs, with both values.
    pub(crate) fn require_same(&self, path: &Path, recorded: &str) -> Result<()> {
        require_same(self, path, recorded)
    }
}

/// Refuses `recorded`, the text of `path`, unless it is `now`.
///
/// # Errors
/// Text that is no JSON, or the first field that differs, with both values.
pub(crate) fn require_same(now: &impl Serialize, path: &Path, recorded: &str) -> Result<()> {
    let malformed = |e: serde_json::Error| Error::content(path, format!("not a run: {e}"));
    // Compared as text reads back: an f32 widened to f64 directly would not equal its printed form.
    let now = serde_json::to_string(now).and_then(|text| serde_json::from_str(&text)).map_err(malformed)?;
    let was: Value = serde_json::from_str(recorded).map_err(malformed)?;
    match first_difference("", &was, &now) {
        Some((field, was, now)) => Err(Error::Differs { path: path.to_owned(), field, was, now }),
        None => Ok(()),
    }
}

/// Dotted name and both values of the first place where two JSON trees differ.
pub(crate) fn first_difference(field: &str, was: &Value, now: &Value) -> Option<(String, String, String)> {
    if let (Value::Object(old), Value::Object(new)) = (was, now) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        return keys.into_iter().find_map(|key| {
            let name = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
            let part = |tree: &serde_json::Map<String, Value>| tree.get(key).cloned().unwrap_or(Value::Null);
            first_difference(&name, &part(old), &part(new))
        });
    }
    let shown = |value: &Value| if value.is_null() { "none".to_owned() } else { value.to_string() };
    (was != now).then(|| (field.to_owned(), shown(was), shown(now)))
}

/// A short name for each run of a sweep, fit for a folder: its perturbation, and its steps where those are not the same in all.
pub(crate) fn point_names<'a>(searches: impl Iterator<Item = &'a SearchOptions> + Clone) -> Vec<String> {
    let swept = steps_swept(searches.clone());
    let name = |search: &SearchOptions| {
        let of_perturbation = point_name(&search.perturbation);
        if swept { format!("{of_perturbation}-steps{}", search.steps) } else { of_perturbation }
    };
    searches.map(name).collect()
}

/// Whether runs differ in their number of steps.
pub(crate) fn steps_swept<'a>(mut searches: impl Iterator<Item = &'a SearchOptions>) -> bool {
    searches.next().is_some_and(|first| searches.any(|search| search.steps != first.steps))
}

/// A short name of a perturbation.
pub(crate) fn point_name(perturbation: &Perturbation) -> String {
    match perturbation {
        Perturbation::None => "none".to_owned(),
        Perturbation::Dropout { p, .. } => format!("dropout-p{p}"),
        Perturbation::Noise { std, .. } => format!("noise-std{std}"),
        Perturbation::State => "state".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::testing::setup;

    #[test]
    fn shards_are_one_based_disjoint_and_complete() {
        let mut seen = [0; 10];
        for index in 1..=3 {
            let shard: Shard = format!("{index}/3").parse().unwrap();
            let part = Setup { shard: Some(shard), ..setup(10) };
            for i in part.indices() {
                assert_eq!(i % 3 + 1, index);
                seen[i] += 1;
            }
        }
        assert_eq!(seen, [1; 10]);
        for bad in ["0/3", "4/3", "1/0", "1", "a/b", "-1/3", "1/3/3", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_comes_before_the_shard() {
        let shard = Some(Shard { index: 2, count: 2 });
        let indices = |setup: Setup| setup.indices().collect::<Vec<_>>();
        assert_eq!(indices(Setup { limit: Some(5), shard, ..setup(10) }), [1, 3]);
        assert_eq!(indices(Setup { limit: Some(50), ..setup(3) }), [0, 1, 2]);
        let damaged = Some(Shard { index: 0, count: 0 });
        assert_eq!(Setup { shard: damaged, ..setup(usize::MAX) }.indices().len(), usize::MAX);
    }

    #[test]
    fn a_setup_equals_its_printed_form_and_names_the_first_difference() {
        let setup = setup(10);
        let text = serde_json::to_string_pretty(&setup).unwrap();
        let path = Path::new("runs/run.json");
        setup.require_same(path, &text).unwrap();
        assert_eq!(serde_json::from_str::<Setup>(&text).unwrap(), setup);

        let mut other = setup.clone();
        other.search.seed = 7;
        other.search.steps += 1;
        let error = other.require_same(path, &text).unwrap_err().to_string();
        assert_eq!(error, "runs/run.json: search.seed differs: 0 there, 7 here");

        let other = Setup { limit: Some(4), ..setup };
        let error = other.require_same(path, &text).unwrap_err().to_string();
        assert_eq!(error, "runs/run.json: limit differs: none there, 4 here");
        assert!(other.require_same(path, "{").unwrap_err().to_string().contains("not a run"));
    }
}
