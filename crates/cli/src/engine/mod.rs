//! The seam to models: everything a command asks of them.

mod facts;

use std::path::Path;

use fathom::{DType, Device};
use fathom_model::{
    config::{Config, GenerationDefaults},
    folder::Folder,
    latent_rm::LatentRm,
    load::Model,
    parity::{Verdict as Found, run},
};
use fathom_search::solver::{Outcome, SearchOptions, Solver};
use sha2::{Digest, Sha256};

pub(crate) use facts::info;

use crate::error::{Error, Result};
use crate::options::{Defaults, ModelOptions};
use crate::parity::{Check, Verdict};

/// The trained model that the executable carries, so that it works from any folder.
const EMBEDDED: Folder = Folder::Embedded {
    name: "abacus-coconut (embedded)",
    files: &[
        ("config.json", include_bytes!("../../../../models/abacus-coconut/config.json")),
        (
            "generation_config.json",
            include_bytes!("../../../../models/abacus-coconut/generation_config.json"),
        ),
        ("model.safetensors", include_bytes!("../../../../models/abacus-coconut/model.safetensors")),
        ("tokenizer.json", include_bytes!("../../../../models/abacus-coconut/tokenizer.json")),
    ],
};

/// A loaded model that answers questions one way.
pub(crate) struct Engine {
    solver: Solver,
    /// What tells this model from any other: runs resume and merge only under the same one.
    pub(crate) model: String,
    /// The same of the reward model, where there is one.
    pub(crate) reward: Option<String>,
}

fn folder(path: Option<&Path>) -> Result<Folder> {
    match path {
        Some(path) => Folder::open(path).map_err(engine),
        None => Ok(EMBEDDED),
    }
}

fn engine(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Engine(error.into())
}

/// What the model of `options` says about its own sampling, without loading its weights.
///
/// # Errors
/// A folder or configuration that cannot be read.
pub(crate) fn defaults(options: &ModelOptions) -> Result<Defaults> {
    let folder = folder(options.model.as_deref())?;
    let config = Config::read(&folder).map_err(engine)?;
    Ok(Defaults::of(&config, &GenerationDefaults::read(&folder).map_err(engine)?))
}

/// Loads the model and reward model of `options` to search as `search` says.
///
/// # Errors
/// Anything wrong with the folders, or options that the model cannot follow.
pub(crate) fn open(options: &ModelOptions, search: &SearchOptions) -> Result<Engine> {
    let (device, dtype) = (&options.device, options.dtype);
    let place = folder(options.model.as_deref())?;
    let model = Model::load(&place, device, dtype).map_err(engine)?;
    let rm_place = options.reward.as_deref().map(|path| folder(Some(path))).transpose()?;
    let reward =
        rm_place.as_ref().map(|place| LatentRm::open(place, device, dtype).map_err(engine)).transpose()?;
    Ok(Engine {
        solver: Solver::new(model, reward, search.clone()).map_err(engine)?,
        model: identity(&place)?,
        reward: rm_place.as_ref().map(identity).transpose()?,
    })
}

/// Loads a model in f32 with what tells it from any other.
///
/// # Errors
/// Anything wrong with the folder.
pub(crate) fn generator(path: &Path, device: &Device) -> Result<(Model, String)> {
    load(path, device, DType::F32)
}

/// Loads a model with what tells it from any other.
///
/// # Errors
/// Anything wrong with the folder.
pub(crate) fn load(path: &Path, device: &Device, dtype: DType) -> Result<(Model, String)> {
    let place = folder(Some(path))?;
    Ok((Model::load(&place, device, dtype).map_err(engine)?, identity(&place)?))
}

/// Digest of the files that a model's answers depend on, under their names.
fn identity(folder: &Folder) -> Result<String> {
    let mut hash = Sha256::new();
    for name in folder.list().map_err(engine)? {
        let counts = name.ends_with(".safetensors") && name != "reference.safetensors"
            || ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors.index.json"]
                .contains(&name.as_str());
        if let Some(bytes) = if counts { folder.read(&name).map_err(engine)? } else { None } {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(&name);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(&*bytes);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Engine {
    /// Searches for the answer to `question`.
    ///
    /// # Errors
    /// A question that the model cannot read.
    pub(crate) fn solve(&self, question: &str) -> Result<Outcome> {
        self.solver.solve(question).map_err(engine)
    }

    /// What it searches with.
    pub(crate) fn solver(&self) -> &Solver {
        &self.solver
    }

    /// Whether a processor's cache holds the weights, so that threads are faster on a question each than together.
    pub(crate) fn fits_cache(&self) -> bool {
        self.solver.model().fits_cache()
    }
}

/// Compares every tensor of `folder`'s reference.safetensors with ours, in f32.
///
/// # Errors
/// A folder that cannot be used; disagreement is a verdict, not an error.
pub(crate) fn parity(path: &Path, device: &Device) -> Result<Vec<Check>> {
    let folder = folder(Some(path))?;
    let mut lines = run(&folder, device).map_err(engine)?;
    // Losses and gradients, which stand there as not computed.
    let of_training =
        fathom_train::parity::run(&folder, device).map_err(|cause| Error::Engine(cause.into()))?;
    for line in &mut lines {
        if let Some(found) = of_training.iter().find(|found| found.name == line.name) {
            line.clone_from(found);
        }
    }
    let check = |line: fathom_model::parity::Line| Check {
        verdict: match line.verdict {
            Found::Pass => Verdict::Pass,
            Found::Fail | Found::Unknown => Verdict::Fail,
            Found::Skip => Verdict::Skip,
        },
        max_error: line.max_error,
        name: line.name,
    };
    Ok(lines.into_iter().map(check).collect())
}

/// Loads a model only to describe it.
fn describe(path: Option<&Path>) -> Result<Model> {
    Model::load(&folder(path)?, &Device::Cpu, DType::F32).map_err(engine)
}
