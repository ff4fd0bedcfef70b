//! Configurations: TOML files.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::Result;

/// Reads a file.
///
/// # Errors
/// Names the file, the line, and the key that is absent, unknown or of another type.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|source| fathom_model::Error::Io { path: place.clone(), source })?;
    let malformed = |error: toml::de::Error| {
        let line = error.span().map_or(0, |span| 1 + text[..span.start].matches('\n').count());
        let what = format!("line {line}: {}", error.message());
        fathom_model::Error::Format { path: place.clone(), what }
    };
    Ok(toml::from_str(&text).map_err(malformed)?)
}
