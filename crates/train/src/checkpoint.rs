//! What training leaves on disk, whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use fathom::{Tensor, ops::adam::Moments};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    files::{io, sync, write},
    optimizer::Optimizer,
    parameters::Parameters,
};

const WEIGHTS: &str = "model.safetensors";
const MOMENTS: &str = "optimizer.safetensors";
const STATE: &str = "training.json";

/// Where a run stands, besides parameters and moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps taken.
    pub step: u64,
    /// Steps that the optimizer has taken since it last began anew.
    pub optimizer_step: u32,
    /// What is trained how, as text: a run goes on under the same one alone.
    pub config: String,
    /// The best validation so far, and its step.
    pub best: Option<(f64, u64)>,
}

/// Folders of checkpoints in a run's folder, each named by its step.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Those in `folder`, which is made.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(io(folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder of the checkpoint at `step`.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:08}"))
    }

    /// The last one that is whole.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn last(&self) -> Result<Option<PathBuf>> {
        Ok(self.steps()?.into_iter().max().map(|(_, path)| path))
    }

    /// Every checkpoint with its step: a folder has its name from when it is whole.
    fn steps(&self) -> Result<Vec<(u64, PathBuf)>> {
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io(&self.folder))? {
            let path = entry.map_err(io(&self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(Ok(step)) = name.strip_prefix("step-").map(str::parse) {
                steps.push((step, path));
            }
        }
        Ok(steps)
    }

    /// Writes a checkpoint in the published layout, `beside` it files by name (configuration, tokenizer), and lets older ones
    /// go but those of the steps in `keep`. It is there under its name once it is whole.
    ///
    /// # Errors
    /// Files that cannot be written; a device that does not work.
    pub fn write(
        &self,
        state: &State,
        parameters: &Parameters,
        optimizer: &Optimizer,
        beside: &BTreeMap<String, Vec<u8>>,
        keep: &[u64],
    ) -> Result<PathBuf> {
        let (path, partial) = (self.path(state.step), self.folder.join("partial"));
        remove(&partial)?;
        fs::create_dir(&partial).map_err(io(&partial))?;
        write_model(&partial, parameters, beside)?;
        let moments = parameters.ids().zip(optimizer.moments()).flat_map(|(id, moments)| {
            let (name, shape) = (parameters.name(id), parameters.shape(id));
            [("m", &moments.first), ("v", &moments.second)]
                .map(|(kind, tensor)| (format!("{kind}.{name}"), shape.to_vec(), tensor))
        });
        write(&partial.join(MOMENTS), &tensors(moments)?)?;
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| Error::Option { option: "state", what: error.to_string() })?;
        write(&partial.join(STATE), &text)?;
        sync(&partial)?;
        remove(&path)?;
        fs::rename(&partial, &path).map_err(io(&path))?;
        sync(&self.folder)?;
        self.drop_others(state.step, keep)?;
        Ok(path)
    }

    /// Lets go of checkpoints before step `last` but for those in `keep`, and of what a kill left half-written. A folder that
    /// goes loses its name first, so that whatever ends the program leaves none that is not whole.
    ///
    /// # Errors
    /// Folders that cannot be removed.
    pub fn drop_others(&self, last: u64, keep: &[u64]) -> Result<()> {
        let [gone, partial] = ["gone", "partial"].map(|name| self.folder.join(name));
        remove(&partial)?;
        remove(&gone)?;
        for (step, path) in self.steps()? {
            if step < last && !keep.contains(&step) {
                fs::rename(&path, &gone).map_err(io(&path))?;
                remove(&gone)?;
            }
        }
        Ok(())
    }
}

/// Writes a model in the published layout to `folder`, in place of one that is there. A kill in the middle leaves one or the
/// other, or at worst none for a moment: a run that goes on comes by here again.
///
/// # Errors
/// Files that cannot be written; a device that does not work.
pub fn publish(folder: &Path, parameters: &Parameters, beside: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let [partial, gone] = ["partial", "gone"].map(|state| folder.with_extension(state));
    remove(&partial)?;
    remove(&gone)?;
    fs::create_dir(&partial).map_err(io(&partial))?;
    write_model(&partial, parameters, beside)?;
    sync(&partial)?;
    if folder.exists() {
        fs::rename(folder, &gone).map_err(io(folder))?;
    }
    fs::rename(&partial, folder).map_err(io(folder))?;
    folder.parent().map_or(Ok(()), sync)?;
    remove(&gone)
}

/// Weights, and files by name.
fn write_model(folder: &Path, parameters: &Parameters, beside: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let values = parameters
        .ids()
        .map(|id| (parameters.name(id).to_owned(), parameters.shape(id).to_vec(), &parameters[id]));
    write(&folder.join(WEIGHTS), &tensors(values)?)?;
    beside.iter().try_for_each(|(name, bytes)| write(&folder.join(name), bytes))
}

/// Removes a folder that may not be there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(folder)(error)),
        _ => Ok(()),
    }
}

/// Reads a checkpoint back: parameters and moments become those of the folder.
///
/// # Errors
/// Files that are missing or of another network.
pub fn resume(folder: &Path, parameters: &mut Parameters, optimizer: &mut Optimizer) -> Result<State> {
    let text = fs::read(folder.join(STATE)).map_err(io(&folder.join(STATE)))?;
    let malformed = |path: &Path, what: String| {
        Error::Model(fathom_model::Error::Format { path: path.display().to_string(), what })
    };
    let state: State =
        serde_json::from_slice(&text).map_err(|error| malformed(&folder.join(STATE), error.to_string()))?;
    let read = |file: &str| fs::read(folder.join(file)).map_err(io(&folder.join(file)));
    let (weights, moments) = (read(WEIGHTS)?, read(MOMENTS)?);
    let parse = |file: &str, bytes| -> Result<safetensors::SafeTensors<'_>> {
        safetensors::SafeTensors::deserialize(bytes)
            .map_err(|error| malformed(&folder.join(file), error.to_string()))
    };
    let (weights, moments) = (parse(WEIGHTS, &weights)?, parse(MOMENTS, &moments)?);
    let find =
        |file: &str, from: &safetensors::SafeTensors<'_>, name: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let path = folder.join(file);
            let tensor = from.tensor(name).map_err(|error| malformed(&path, format!("{name}: {error}")))?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
                return Err(malformed(&path, format!("{name} is {:?} {:?}", tensor.dtype(), tensor.shape())));
            }
            Ok(tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        };
    let mut kept = Vec::new();
    for id in parameters.ids() {
        let (name, shape) = (parameters.name(id).to_owned(), parameters.shape(id).to_vec());
        let (rows, width) = (parameters[id].rows(), parameters[id].width());
        let device = parameters.device().clone();
        let tensor = |values| Tensor::new(&device, rows, width, values);
        let of = |kind: &str| find(MOMENTS, &moments, &format!("{kind}.{name}"), &shape);
        kept.push(Moments { first: tensor(of("m")?)?, second: tensor(of("v")?)? });
        parameters[id] = tensor(find(WEIGHTS, &weights, &name, &shape)?)?;
    }
    optimizer.resume(kept, state.optimizer_step);
    Ok(state)
}

/// The bytes of a safetensors file of f32 tensors.
fn tensors<'a>(of: impl Iterator<Item = (String, Vec<usize>, &'a Tensor)>) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    for (name, shape, tensor) in of {
        let bytes: Vec<u8> = tensor.to_vec()?.iter().flat_map(|x| x.to_le_bytes()).collect();
        data.push((name, shape, bytes));
    }
    let malformed =
        |error: safetensors::SafeTensorError| Error::Option { option: "checkpoint", what: error.to_string() };
    let views = data.iter().map(|(name, shape, bytes)| {
        Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(malformed)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    // What transformers asks of a file before it loads it.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(metadata)).map_err(malformed)
}
