//! Thoughts of real networks and of a given tree: what a trajectory depends on, and what beam search finds.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod beam_model;
mod beam_tree;
mod coordinates;
mod depth;
mod devices;
mod ending;
mod invariance;
mod queued;
mod sharing;
mod solver;
mod trace;
mod wide;

use std::path::Path;

use fathom::{DType, Device};
use fathom_model::{folder::Folder, latent_rm::LatentRm, latents::Latent, load::Model};

/// A folder of random weights under the repository's `tests/fixtures`, from the package's, where tests run.
fn fixture(name: &str) -> Folder {
    Folder::open(Path::new("../../tests/fixtures").join(name)).unwrap()
}

fn model(name: &str, dtype: DType) -> Model {
    Model::load(&fixture(name), &Device::Cpu, dtype).unwrap()
}

fn reward(name: &str) -> LatentRm {
    LatentRm::open(&fixture(name).subfolder("latent_rm").unwrap(), &Device::Cpu, DType::F32).unwrap()
}

/// The bits of latents.
fn bits(latents: &[Latent]) -> Vec<u32> {
    Latent::to_rows(latents).unwrap().iter().flatten().map(|x| x.to_bits()).collect()
}

/// The prompt of every test: ids that all fixtures' vocabularies hold.
const PROMPT: [u32; 7] = [5, 102, 61, 53, 88, 52, 16];
