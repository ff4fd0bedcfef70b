//! The folder of generated data: made, made again as it is, or refused.

use std::fs;
use std::path::Path;

use fathom_train::data::Split;
use serde_json::Value;

use super::Setup;
use crate::error::{Error, Result};
use crate::eval::setup::first_difference;
use crate::output;

const SETUP: &str = "data.json";
const TOKENIZER: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/// The file of a split.
pub(super) fn file(split: Split) -> String {
    format!("{split}.jsonl")
}

/// Everything that the command writes.
fn files() -> impl Iterator<Item = String> {
    [SETUP].into_iter().chain(TOKENIZER).map(str::to_owned).chain(Split::ALL.map(file))
}

/// Makes `path` a folder, and refuses one that holds other data unless that is to be overwritten.
///
/// # Errors
/// A folder that cannot be made, data of other settings or of something else.
pub(super) fn claim(path: &Path, setup: &Setup, overwrite: bool) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::file("create", path))?;
    if overwrite {
        return Ok(());
    }
    let recorded = path.join(SETUP);
    if recorded.exists() {
        let text = fs::read_to_string(&recorded).map_err(Error::file("read", &recorded))?;
        let malformed = |e: serde_json::Error| Error::content(&recorded, format!("not a data set's: {e}"));
        let was: Value = serde_json::from_str(&text).map_err(malformed)?;
        let now = serde_json::to_value(setup).map_err(malformed)?;
        return match first_difference("", &was, &now) {
            None => Ok(()),
            Some((field, was, now)) => Err(Error::content(
                path,
                format!("holds other data ({field}: {was} there, {now} here); {HINT}"),
            )),
        };
    }
    match files().find(|name| path.join(name).exists()) {
        Some(name) => Err(Error::content(path, format!("already holds {name}; {HINT}"))),
        None => Ok(()),
    }
}

const HINT: &str = "name another folder, or add --overwrite";

/// Removes what is to be overwritten and writes the settings: whatever ends the command from here on, no file of other
/// settings stands beside them, and the same command goes on.
///
/// # Errors
/// Whatever the file system reports.
pub(super) fn begin(path: &Path, setup: &Setup, overwrite: bool) -> Result<()> {
    if overwrite {
        for file in files().map(|name| path.join(name)).filter(|file| file.exists()) {
            fs::remove_file(&file).map_err(Error::file("remove", &file))?;
        }
    }
    output::write_atomic(&path.join(SETUP), output::json(setup)?.as_bytes())
}
