//! Parity with the published implementations: every tensor of a folder's `reference.safetensors`, computed in f32
//! from the folder's own inputs and compared by value.
//!
//! Trajectories are replayed with the recorded masks and noise, under the published behaviour without corrections.

mod chain;
mod compare;
mod huginn;
mod reward;

use std::collections::BTreeMap;

use fathom::{DType, Device};

use crate::{
    checkpoint::Checkpoint,
    error::{Error, Result},
    folder::Folder,
    load::{Model, Network},
};

use compare::{Expected, Tolerance};
pub use compare::{Line, Verdict};

const FILE: &str = "reference.safetensors";

/// The recorded tensors, and what has been found about each.
struct Reference {
    tensors: Checkpoint,
    lines: BTreeMap<String, Line>,
}

/// Runs the comparison: one line a tensor, in order of their names.
///
/// # Errors
/// A folder that cannot be loaded, or a reference that lacks what its own runs need. A name that is not known fails
/// as a line, not as an error.
pub fn run(folder: &Folder, device: &Device) -> Result<Vec<Line>> {
    let mut reference = Reference { tensors: Checkpoint::open_file(folder, FILE)?, lines: BTreeMap::new() };
    let model = Model::load(folder, device, DType::F32)?;
    match &model.network {
        Network::Chain(chain) => {
            chain::compare(chain, model.ids.pad, &mut reference)?;
            reward::compare(folder, device, chain.ids(), &mut reference)?;
        }
        Network::Huginn(network) => huginn::compare(network, &mut reference)?,
    }
    let names: Vec<String> = reference.tensors.names().map(str::to_owned).collect();
    for name in names {
        let verdict = if is_input(&name) || is_training(&name) { Verdict::Skip } else { Verdict::Unknown };
        reference.lines.entry(name.clone()).or_insert(Line { name, max_error: None, verdict });
    }
    Ok(reference.lines.into_values().collect())
}

/// Inputs that the runs start from.
fn is_input(name: &str) -> bool {
    let exact = ["input_ids", "attention_mask", "s0", "rm.input_ids", "rm.latent_embeds"];
    exact.contains(&name) || name == "agn.noise_per_latent_step" || chain::mask_site(name).is_some()
}

/// What belongs to training.
fn is_training(name: &str) -> bool {
    let exact = ["labels", "rm.estimations", "rm.contrastive_loss"];
    exact.contains(&name) || ["grad_", "loss_", "rm.grad."].iter().any(|prefix| name.starts_with(prefix))
}

impl Reference {
    fn has(&self, name: &str) -> bool {
        self.tensors.contains(name)
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        self.tensors.names().filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
    }

    /// Shape of a recorded tensor of `D` dimensions.
    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D]> {
        let shape = self
            .tensors
            .shape(name)
            .ok_or_else(|| Error::MissingTensor { path: self.tensors.place().into(), tensor: name.into() })?;
        shape
            .try_into()
            .map_err(|_| self.malformed(format!("tensor {name:?} has shape {shape:?}, not {D} dimensions")))
    }

    /// A recorded tensor's elements.
    fn floats(&self, name: &str) -> Result<Vec<f32>> {
        self.tensors.floats(name)
    }

    /// Recorded token ids.
    fn ids(&self, name: &str) -> Result<Vec<u32>> {
        let ids = self.tensors.integers(name)?.into_iter();
        let narrow =
            |id: i64| u32::try_from(id).map_err(|_| self.malformed(format!("tensor {name:?} holds {id}")));
        ids.map(narrow).collect()
    }

    fn malformed(&self, what: String) -> Error {
        Error::Format { path: self.tensors.place().into(), what }
    }

    /// Compares what was computed for `name`.
    fn check(&mut self, name: &str, computed: &[f32], tolerance: Tolerance) -> Result<()> {
        let expected = self.floats(name)?;
        self.lines.insert(name.into(), Line::compare(name, computed, Expected::Floats(&expected), tolerance));
        Ok(())
    }

    /// Compares token ids, which have to be equal.
    fn check_ids(&mut self, name: &str, computed: &[u32]) -> Result<()> {
        let expected = self.tensors.integers(name)?;
        let computed: Vec<f32> = computed.iter().map(|&id| id as f32).collect();
        self.lines
            .insert(name.into(), Line::compare(name, &computed, Expected::Ids(&expected), Tolerance::Exact));
        Ok(())
    }
}
