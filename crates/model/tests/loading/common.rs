//! Folders with a checkpoint in them, to be spoilt.

use std::fs;
use std::path::{Path, PathBuf};

use fathom_model::folder::Folder;
use safetensors::tensor::{Dtype, TensorView, serialize};
use tempfile::TempDir;

/// A tensor to write: name, type, shape, bytes.
pub(crate) type Tensor<'a> = (&'a str, Dtype, Vec<usize>, Vec<u8>);

/// The repository's file at `path`, from the package's folder, where tests run.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new("../..").join(path)
}

/// A folder of these files.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> (TempDir, Folder) {
    let place = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        fs::write(place.path().join(name), bytes).expect("room for a small file");
    }
    let folder = Folder::open(place.path()).expect("the folder was just made");
    (place, folder)
}

/// A safetensors file.
pub(crate) fn safetensors(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("bytes of the shape"))
    });
    serialize(views, None).expect("a header")
}

/// An f32 tensor.
pub(crate) fn floats<'a>(name: &'a str, shape: &[usize], values: &[f32]) -> Tensor<'a> {
    (name, Dtype::F32, shape.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// That a failure is told in one plain line which names each of `culprits`.
pub(crate) fn assert_names<T: std::fmt::Debug>(result: fathom_model::Result<T>, culprits: &[&str]) {
    let message = result.expect_err("this input is bad").to_string();
    assert!(!message.contains('\n'), "more than a line: {message}");
    for culprit in culprits {
        assert!(message.contains(culprit), "{message:?} does not name {culprit:?}");
    }
}
