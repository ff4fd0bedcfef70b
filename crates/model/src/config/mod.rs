//! `config.json` and `generation_config.json`: shapes, counts and special ids of a checkpoint.

use crate::error::Result;
use crate::folder::Folder;

mod fields;
mod generation;
mod gpt2;
mod huginn;
mod ids;
mod llama;
mod step_score;

pub use generation::GenerationDefaults;
pub use gpt2::Gpt2Config;
pub use huginn::HuginnConfig;
pub use ids::SpecialIds;
pub use llama::{Llama3Scaling, LlamaConfig};
pub use step_score::StepScore;

use fields::Fields;

const FILE: &str = "config.json";

/// What kind of network a folder holds, with its shapes.
#[derive(Debug, Clone, PartialEq)]
pub enum Config {
    /// GPT-2 body: COCONUT and CODI (spec latenttts §1.2, §1.3).
    Gpt2(Gpt2Config),
    /// Llama body: CoLaR (spec latenttts §1.4).
    Llama(LlamaConfig),
    /// Recurrent depth: Huginn (spec huginn §1.1).
    Huginn(HuginnConfig),
}

impl Config {
    /// Reads and checks the folder's `config.json`.
    ///
    /// # Errors
    /// Names the file where it is missing or not JSON, and the field that is absent, of the wrong type, out of range,
    /// or set to what no implemented network does.
    pub fn read(folder: &Folder) -> Result<Self> {
        let fields = Fields::read(folder.path_of(FILE), &folder.require(FILE)?)?;
        match family(&fields)? {
            Family::Gpt2 => Gpt2Config::parse(&fields).map(Self::Gpt2),
            Family::Llama => LlamaConfig::parse(&fields).map(Self::Llama),
            Family::Huginn => HuginnConfig::parse(&fields).map(Self::Huginn),
        }
    }

    /// Rows of the embedding.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Gpt2(config) => config.vocab_size,
            Self::Llama(config) => config.vocab_size,
            Self::Huginn(config) => config.vocab_size,
        }
    }

    /// Longest position plus one.
    pub fn context(&self) -> usize {
        match self {
            Self::Gpt2(config) => config.context,
            Self::Llama(config) => config.context,
            Self::Huginn(config) => config.context,
        }
    }

    /// Special ids as the file gives them; see [`SpecialIds::resolve`] for those to run with.
    pub fn ids(&self) -> &SpecialIds {
        match self {
            Self::Gpt2(config) => &config.ids,
            Self::Llama(config) => &config.ids,
            Self::Huginn(config) => &config.ids,
        }
    }
}

enum Family {
    Gpt2,
    Llama,
    Huginn,
}

/// By `model_type`, else by the class names in `architectures`: some published folders lack the former.
fn family(fields: &Fields) -> Result<Family> {
    match fields.text("model_type")? {
        Some("gpt2") => return Ok(Family::Gpt2),
        Some("llama") => return Ok(Family::Llama),
        Some("huginn_raven") => return Ok(Family::Huginn),
        Some(other) => {
            return Err(fields.bad("model_type", format!("{other:?} is none of gpt2, llama, huginn_raven")));
        }
        None => {}
    }
    let classes = fields.texts("architectures")?;
    let named = |part: &str| classes.iter().any(|class| class.contains(part));
    if named("GPT2") {
        Ok(Family::Gpt2)
    } else if named("Llama") {
        Ok(Family::Llama)
    } else if named("Raven") {
        Ok(Family::Huginn)
    } else {
        Err(fields.bad("model_type", "is missing, and architectures names no known network"))
    }
}
