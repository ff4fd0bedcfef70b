//! All weights of a folder, by name (spec latenttts §1.5, huginn §2.1).
//!
//! A network *takes* the tensors that it knows; what nobody took is an error at the end, so that a checkpoint of
//! another architecture is never read by halves.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::tensor::{Dtype, SafeTensors};

use crate::error::{Error, Result, one_line};
use crate::folder::{Bytes, Folder};

mod shards;
mod view;

pub use view::TensorView;

/// The tensors of one safetensors file, or of the shards that an index names.
#[derive(Debug)]
pub struct Checkpoint {
    place: String,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Shard {
    path: String,
    bytes: Bytes,
}

#[derive(Debug)]
struct Entry {
    shard: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<usize>,
    taken: Cell<bool>,
    skipped: Cell<bool>,
}

impl Checkpoint {
    /// The weights of a folder: `model.safetensors`, else the shards of `model.safetensors.index.json`, else the
    /// only `*.safetensors` beside `reference.safetensors`.
    ///
    /// # Errors
    /// Names the file that is missing, ambiguous, truncated or malformed, and the tensor that stands in two shards or
    /// not in the shard that the index says.
    pub fn open(folder: &Folder) -> Result<Self> {
        shards::open(folder)
    }

    /// The tensors of one file of the folder.
    ///
    /// # Errors
    /// Names the file where it is missing, truncated or malformed.
    pub fn open_file(folder: &Folder, file: &str) -> Result<Self> {
        let mut checkpoint =
            Self { place: folder.path_of(file), shards: Vec::new(), tensors: BTreeMap::new() };
        checkpoint.add(folder.path_of(file), folder.require(file)?)?;
        Ok(checkpoint)
    }

    fn add(&mut self, path: String, bytes: Bytes) -> Result<()> {
        let bad = |what: String| Error::Format { path: path.clone(), what };
        let (header, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| bad(format!("is not a complete safetensors file: {}", one_line(error))))?;
        let start = size_of::<u64>() + header;
        let shard = self.shards.len();
        for (name, info) in metadata.tensors() {
            let (from, to) = info.data_offsets;
            let entry = Entry {
                shard,
                dtype: info.dtype,
                shape: info.shape.clone(),
                range: start + from..start + to,
                taken: Cell::new(false),
                skipped: Cell::new(false),
            };
            if let Some(other) = self.tensors.insert(name.clone(), entry) {
                let other = &self.shards[other.shard].path;
                return Err(bad(format!("tensor {name:?} stands in {other} as well")));
            }
        }
        self.shards.push(Shard { path, bytes });
        Ok(())
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Number of elements of all tensors together, less those that were skipped and buffers.
    pub fn elements(&self) -> usize {
        let counted = self.tensors.iter().filter(|(name, entry)| !entry.skipped.get() && !is_buffer(name));
        counted.map(|(_, entry)| entry.shape.iter().product::<usize>()).sum()
    }

    /// The first of `prefixes` with which `name` is a tensor here; published checkpoints wrap modules differently.
    pub fn prefix<'p>(&self, prefixes: &[&'p str], name: &str) -> Option<&'p str> {
        prefixes.iter().copied().find(|prefix| self.contains(&format!("{prefix}{name}")))
    }

    /// A tensor of floats of this shape, which is then no longer left over. Views of several tensors may be held at
    /// once, and a tensor may be taken again.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Shape`], [`Error::Dtype`] unless F32, F16 or BF16, and [`Error::NotFinite`].
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<TensorView<'_>> {
        let (name, entry) = self.entry(name)?;
        let path = &self.shards[entry.shard].path;
        if entry.shape != shape {
            return Err(Error::Shape {
                path: path.clone(),
                tensor: name.to_owned(),
                expected: shape.to_vec(),
                found: entry.shape.clone(),
            });
        }
        let view = self.view(name, entry)?;
        if let Some(index) = view.first_not_finite() {
            return Err(Error::NotFinite {
                path: path.clone(),
                tensor: name.to_owned(),
                index,
                value: view.get(index),
            });
        }
        entry.taken.set(true);
        Ok(view)
    }

    /// [`Checkpoint::take`] of the first of `names` that exists.
    ///
    /// # Errors
    /// As [`Checkpoint::take`].
    pub fn take_any(&self, names: &[&str], shape: &[usize]) -> Result<TensorView<'_>> {
        match names.iter().find(|name| self.contains(name)) {
            Some(name) => self.take(name, shape),
            None => Err(Error::MissingTensor { path: self.place.clone(), tensor: names.join(" | ") }),
        }
    }

    /// Elements of a tensor of floats of any shape, which is then no longer left over. Recorded outputs are read this
    /// way: unlike weights they may hold infinities and NaN.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and [`Error::Dtype`].
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let (name, entry) = self.entry(name)?;
        entry.taken.set(true);
        Ok(self.view(name, entry)?.to_vec())
    }

    /// Elements of a tensor of 64-bit integers, which is then no longer left over.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and [`Error::Dtype`].
    pub fn integers(&self, name: &str) -> Result<Vec<i64>> {
        let (name, entry) = self.entry(name)?;
        if entry.dtype != Dtype::I64 {
            return Err(Error::Dtype {
                path: self.shards[entry.shard].path.clone(),
                tensor: name.to_owned(),
                dtype: entry.dtype.to_string(),
                expected: "I64",
            });
        }
        entry.taken.set(true);
        Ok(self.data(entry).as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect())
    }

    /// Elements of a tensor of truth values, which is then no longer left over.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] and [`Error::Dtype`].
    pub fn booleans(&self, name: &str) -> Result<Vec<bool>> {
        let (name, entry) = self.entry(name)?;
        if entry.dtype != Dtype::BOOL {
            return Err(Error::Dtype {
                path: self.shards[entry.shard].path.clone(),
                tensor: name.to_owned(),
                dtype: entry.dtype.to_string(),
                expected: "BOOL",
            });
        }
        entry.taken.set(true);
        Ok(self.data(entry).iter().map(|&byte| byte != 0).collect())
    }

    /// Whether two tensors are the same bit for bit, shape and type included: a head that repeats the embedding
    /// (spec huginn §9.16).
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub fn equal(&self, a: &str, b: &str) -> Result<bool> {
        let (_, a) = self.entry(a)?;
        let (_, b) = self.entry(b)?;
        Ok(a.dtype == b.dtype && a.shape == b.shape && self.data(a) == self.data(b))
    }

    /// Accepts a tensor unread, for instance one found [`equal`](Checkpoint::equal) to another.
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub fn skip(&self, name: &str) -> Result<()> {
        let (_, entry) = self.entry(name)?;
        entry.taken.set(true);
        entry.skipped.set(true);
        Ok(())
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::LeftOver`] with all tensors that nobody took, buffers aside that published code saves and
    /// recomputes (causal masks, rotary tables).
    pub fn finish(self) -> Result<()> {
        let left = self.tensors.iter().filter(|(name, entry)| !entry.taken.get() && !is_buffer(name));
        let tensors: Vec<String> = left.map(|(name, _)| name.clone()).collect();
        if tensors.is_empty() { Ok(()) } else { Err(Error::LeftOver { path: self.place, tensors }) }
    }

    /// The folder or file, as messages call it.
    pub fn place(&self) -> &str {
        &self.place
    }

    fn view<'a>(&'a self, name: &'a str, entry: &'a Entry) -> Result<TensorView<'a>> {
        TensorView::new(name, &entry.shape, entry.dtype, self.data(entry)).ok_or_else(|| Error::Dtype {
            path: self.shards[entry.shard].path.clone(),
            tensor: name.to_owned(),
            dtype: entry.dtype.to_string(),
            expected: "F32, F16 or BF16",
        })
    }

    fn entry(&self, name: &str) -> Result<(&str, &Entry)> {
        self.tensors
            .get_key_value(name)
            .map(|(name, entry)| (name.as_str(), entry))
            .ok_or_else(|| Error::MissingTensor { path: self.place.clone(), tensor: name.to_owned() })
    }

    fn data(&self, entry: &Entry) -> &[u8] {
        &self.shards[entry.shard].bytes[entry.range.clone()]
    }
}

/// Whole components are compared: `h.0.attn.bias` is GPT-2's causal mask, `h.0.attn.c_attn.bias` a weight.
fn is_buffer(name: &str) -> bool {
    const BUFFERS: [&str; 4] = ["attn.bias", "attn.masked_bias", "rotary_emb.inv_freq", "freqs_cis"];
    BUFFERS
        .iter()
        .any(|buffer| name.strip_suffix(buffer).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::is_buffer;

    #[test]
    fn masks_are_buffers_and_biases_are_not() {
        for name in
            ["transformer.h.11.attn.bias", "h.0.attn.masked_bias", "freqs_cis", "a.rotary_emb.inv_freq"]
        {
            assert!(is_buffer(name), "{name}");
        }
        for name in ["transformer.h.0.attn.c_attn.bias", "xattn.bias", "my_freqs_cis", "attn.bias.weight", ""]
        {
            assert!(!is_buffer(name), "{name}");
        }
    }
}
