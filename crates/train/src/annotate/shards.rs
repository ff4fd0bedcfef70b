//! Annotations on disk, in the published layout (spec latenttts §3.3.5): safetensors files `{k}_on{rank}.safetensors` with
//! `{index}.input_ids`, `.estimations`, `.latent_embeds` and `.corrects` of the questions that are kept, and a scalar
//! `{index}.input_ids` of the others.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fathom::{Device, Tensor};
use fathom_model::{checkpoint::Checkpoint, folder::Folder};
use safetensors::{Dtype, tensor::TensorView};

use super::annotator::{Annotation, Kept};
use crate::error::{Error, Result};

/// The name of file `k` of the part `rank` of a data set.
pub fn name(k: usize, rank: usize) -> String {
    format!("{k}_on{rank}.safetensors")
}

/// The bytes of a file.
///
/// # Errors
/// Annotations whose rows differ in length.
pub fn encode(annotations: &[Annotation]) -> Result<Vec<u8>> {
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for Annotation { index, correct, kept, .. } in annotations {
        let name = |member: &str| format!("{index}.{member}");
        let Some(Kept { ids, estimations, latents }) = kept else {
            tensors.push((name("input_ids"), Dtype::I64, Vec::new(), 0i64.to_le_bytes().to_vec()));
            continue;
        };
        let n = correct.len();
        let length = ids.first().map_or(0, Vec::len);
        let steps = estimations.first().map_or(0, Vec::len);
        let width = latents.first().and_then(|rows| rows.first()).map_or(0, Vec::len);
        let ids = ids.iter().flatten().flat_map(|&id| i64::from(id).to_le_bytes()).collect();
        let floats = |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect();
        let of_steps = floats(&mut estimations.iter().flatten().copied());
        let of_latents = floats(&mut latents.iter().flatten().flatten().copied());
        let correct = correct.iter().map(|&correct| u8::from(correct)).collect();
        tensors.push((name("input_ids"), Dtype::I64, vec![n, length], ids));
        tensors.push((name("estimations"), Dtype::F32, vec![n, steps], of_steps));
        tensors.push((name("latent_embeds"), Dtype::F32, vec![n, steps, width], of_latents));
        tensors.push((name("corrects"), Dtype::BOOL, vec![n], correct));
    }
    let malformed = |error: safetensors::SafeTensorError| Error::Option {
        option: "annotations",
        what: error.to_string(),
    };
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).map_err(malformed)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, Some([("format".to_owned(), "pt".to_owned())].into())).map_err(malformed)
}

/// All annotations of some folders. Files are mapped; questions are read when they are asked for.
#[derive(Debug)]
pub struct Annotations {
    files: Vec<Checkpoint>,
    /// Index, file and whether it is kept, by index.
    questions: Vec<(usize, usize, bool)>,
}

/// A question that is kept.
#[derive(Debug)]
pub struct Labelled {
    /// The tokens before the first latent.
    pub prompt: Vec<u32>,
    /// Latents that each trajectory has; the others of T are 0.
    pub lengths: Vec<usize>,
    /// z_t of all trajectories, `[N · T, h]`.
    pub latents: Tensor,
    /// ỹ_t of each, as many as it has latents.
    pub estimations: Vec<Vec<f32>>,
    /// Whether each ends in the gold answer.
    pub correct: Vec<bool>,
}

impl Annotations {
    /// Those in the files of `folders`.
    ///
    /// # Errors
    /// A folder or file that cannot be read; none at all; an index that stands in two files.
    pub fn open(folders: &[PathBuf]) -> Result<Self> {
        let (mut files, mut questions) = (Vec::new(), Vec::new());
        for folder in folders {
            let place = Folder::open(folder)?;
            for name in names(folder)? {
                let file = Checkpoint::open_file(&place, &name)?;
                for tensor in file.names() {
                    let Some(index) = tensor.strip_suffix(".input_ids") else { continue };
                    let index: usize = index
                        .parse()
                        .map_err(|_| malformed(&file, format!("{tensor:?} is not keyed by an index")))?;
                    let kept = file.shape(tensor).is_some_and(|shape| !shape.is_empty());
                    questions.push((index, files.len(), kept));
                }
                files.push(file);
            }
        }
        questions.sort_unstable();
        if let Some(pair) = questions.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (other, file): (&Checkpoint, &Checkpoint) = (&files[pair[0].1], &files[pair[1].1]);
            return Err(malformed(
                file,
                format!("question {} stands in {} as well", pair[0].0, other.place()),
            ));
        }
        if questions.is_empty() {
            let list: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            let what = format!("no annotated question in {}", list.join(", "));
            return Err(Error::Option { option: "annotations", what });
        }
        Ok(Self { files, questions })
    }

    /// Questions, discarded ones included.
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    /// Whether there is no question.
    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// Indices in the data set of the questions that are kept, rising.
    pub fn kept(&self) -> impl Iterator<Item = usize> {
        self.questions.iter().filter(|(_, _, kept)| *kept).map(|&(index, ..)| index)
    }

    /// The question at `index` of its data set, its latents on `device`.
    ///
    /// # Errors
    /// One that is not kept; tensors that are missing or do not fit each other; `latent` is the id of the placeholders.
    pub fn read(&self, index: usize, latent: u32, device: &Device) -> Result<Labelled> {
        let found = self.questions.binary_search_by_key(&index, |&(index, ..)| index);
        let Some((_, file, true)) = found.ok().map(|at| self.questions[at]) else {
            let what = format!("question {index} is not kept");
            return Err(Error::Option { option: "annotations", what });
        };
        let file = &self.files[file];
        let name = |member: &str| format!("{index}.{member}");
        let wrong = |what: &str| malformed(file, format!("question {index}: {what}"));
        let [n, length] = shape(file, &name("input_ids"))?;
        let [of_labels, steps] = shape(file, &name("estimations"))?;
        let [of_latents, of_steps, width] = shape(file, &name("latent_embeds"))?;
        let correct = file.booleans(&name("corrects"))?;
        if [of_labels, of_latents, correct.len()] != [n; 3] || of_steps != steps {
            return Err(wrong("its tensors are not of the same trajectories and steps"));
        }
        let ids = file.integers(&name("input_ids"))?;
        let narrow = |&id: &i64| u32::try_from(id).map_err(|_| wrong("an id is no token"));
        let ids: Vec<u32> = ids.iter().map(narrow).collect::<Result<_>>()?;
        let rows = || ids.chunks(length.max(1));
        let count = |row: &[u32]| row.iter().filter(|&&id| id == latent).count();
        let lengths: Vec<usize> = rows().map(count).collect();
        let prompt = rows().find_map(|row| row.iter().position(|&id| id == latent).map(|end| &row[..end]));
        let prompt = prompt.ok_or_else(|| wrong("no latent in its ids"))?.to_vec();
        if lengths.iter().any(|&count| count > steps) || rows().any(|row| !row.starts_with(&prompt)) {
            return Err(wrong("its ids are not a prompt and at most as many latents as there are steps"));
        }
        let estimations = file.floats(&name("estimations"))?;
        if estimations.iter().any(|value| !(0.0..=1.0).contains(value)) {
            return Err(wrong("an estimation is not in [0, 1]"));
        }
        let estimations = estimations.chunks(steps.max(1)).zip(&lengths);
        let estimations = estimations.map(|(row, &count)| row[..count].to_vec()).collect();
        let latents = Tensor::new(device, n * steps, width, file.floats(&name("latent_embeds"))?)?;
        Ok(Labelled { prompt, lengths, latents, estimations, correct })
    }

    /// Latents and their width of the questions that are kept, as the first has them.
    ///
    /// # Errors
    /// No question that is kept.
    pub fn latent_shape(&self) -> Result<[usize; 2]> {
        let kept = self.questions.iter().find(|(_, _, kept)| *kept);
        let what = "no question is kept: all trajectories of each are right, or all are wrong".into();
        let &(index, file, _) = kept.ok_or(Error::Option { option: "annotations", what })?;
        let [_, steps, width] = shape(&self.files[file], &format!("{index}.latent_embeds"))?;
        Ok([steps, width])
    }
}

/// The files of a folder, by part and number.
fn names(folder: &Path) -> Result<Vec<String>> {
    let io = |source| fathom_model::Error::Io { path: folder.display().to_string(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name().to_string_lossy().into_owned();
        let numbers = name.strip_suffix(".safetensors").and_then(|stem| stem.split_once("_on"));
        let numbers =
            numbers.and_then(|(k, rank)| Some((rank.parse::<usize>().ok()?, k.parse::<usize>().ok()?)));
        names.extend(numbers.map(|numbers| (numbers, name)));
    }
    names.sort();
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

fn shape<const D: usize>(file: &Checkpoint, name: &str) -> Result<[usize; D]> {
    let Some(shape) = file.shape(name) else {
        let (path, tensor) = (file.place().to_owned(), name.to_owned());
        return Err(fathom_model::Error::MissingTensor { path, tensor }.into());
    };
    shape.try_into().map_err(|_| malformed(file, format!("tensor {name:?} has shape {shape:?}")))
}

fn malformed(file: &Checkpoint, what: String) -> Error {
    fathom_model::Error::Format { path: file.place().into(), what }.into()
}
