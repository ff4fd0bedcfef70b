//! What training leaves on disk, whole or not at all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use fathom::{Tensor, ops::adam::Moments};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
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
        let mut last = None;
        for entry in fs::read_dir(&self.folder).map_err(io(&self.folder))? {
            let path = entry.map_err(io(&self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.strip_prefix("step-").is_some_and(|step| step.parse::<u64>().is_ok()) {
                last = last.max(Some(path));
            }
        }
        Ok(last)
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
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(io(&partial))?;
        }
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
        if path.exists() {
            fs::remove_dir_all(&path).map_err(io(&path))?;
        }
        fs::rename(&partial, &path).map_err(io(&path))?;
        sync(&self.folder)?;
        self.drop_others(state.step, keep)?;
        Ok(path)
    }

    fn drop_others(&self, last: u64, keep: &[u64]) -> Result<()> {
        for entry in fs::read_dir(&self.folder).map_err(io(&self.folder))? {
            let path = entry.map_err(io(&self.folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let step = name.strip_prefix("step-").and_then(|step| step.parse::<u64>().ok());
            if step.is_some_and(|step| step < last && !keep.contains(&step)) {
                fs::remove_dir_all(&path).map_err(io(&path))?;
            }
        }
        Ok(())
    }
}

/// Writes a model in the published layout to `folder`, in place of one that is there. A kill in between may leave neither,
/// where a run that goes on writes it again.
///
/// # Errors
/// Files that cannot be written; a device that does not work.
pub fn publish(folder: &Path, parameters: &Parameters, beside: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let partial = folder.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(io(&partial))?;
    }
    fs::create_dir(&partial).map_err(io(&partial))?;
    write_model(&partial, parameters, beside)?;
    sync(&partial)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io(folder))?;
    }
    fs::rename(&partial, folder).map_err(io(folder))?;
    folder.parent().map_or(Ok(()), sync)
}

/// Weights, and files by name.
fn write_model(folder: &Path, parameters: &Parameters, beside: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    let values = parameters
        .ids()
        .map(|id| (parameters.name(id).to_owned(), parameters.shape(id).to_vec(), &parameters[id]));
    write(&folder.join(WEIGHTS), &tensors(values)?)?;
    beside.iter().try_for_each(|(name, bytes)| write(&folder.join(name), bytes))
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

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(io(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io(path))
}

/// Makes names in a folder last.
fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io(folder))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |source| fathom_model::Error::Io { path: path.clone(), source }.into()
}
