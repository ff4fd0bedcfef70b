//! Problems to learn from.

use std::path::Path;

use serde::Deserialize;

use crate::error::Result;

/// A problem with its worked steps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Problem {
    /// The question.
    pub question: String,
    /// Its steps.
    #[serde(default)]
    pub steps: Vec<String>,
    /// The answer.
    pub answer: String,
}

/// Reads problems.
///
/// # Errors
/// Malformed files.
pub fn read(path: &Path) -> Result<Vec<Problem>> {
    let place = path.display().to_string();
    let text =
        std::fs::read(path).map_err(|source| fathom_model::Error::Io { path: place.clone(), source })?;
    Ok(serde_json::from_slice(&text)
        .map_err(|error| fathom_model::Error::Format { path: place, what: error.to_string() })?)
}
