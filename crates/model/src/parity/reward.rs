//! The reward model in the folder's `latent_rm`.

use fathom::{DType, Device, Tensor};

use super::{Reference, Tolerance};
use crate::{body::Input, error::Result, folder::Folder, latent::ChainIds, latent_rm::LatentRm, pass::Run};

const SCORES: &str = "rm.token_scores";
const SUMS: &str = "rm.trajectory_scores";

pub(super) fn compare(
    folder: &Folder,
    device: &Device,
    ids: &ChainIds,
    reference: &mut Reference,
) -> Result<()> {
    if !reference.has(SCORES) && !reference.has(SUMS) {
        return Ok(());
    }
    let place =
        folder.subfolder("latent_rm").ok_or_else(|| reference.malformed("latent_rm is missing".into()))?;
    let rm = LatentRm::open(&place, device, DType::F32)?;
    let [rows, length] = reference.shape("rm.input_ids")?;
    let tokens = reference.ids("rm.input_ids")?;
    let latents = reference.floats("rm.latent_embeds")?;
    let latents = Tensor::new(device, latents.len() / rm.width(), rm.width(), latents)?;
    let mut next = 0;
    let (mut scores, mut sums) = (Vec::with_capacity(rows * length), Vec::with_capacity(rows));
    for tokens in tokens.chunks(length.max(1)) {
        let mut inputs = Vec::with_capacity(length);
        for &id in tokens {
            inputs.push(if id == ids.latent {
                if next == latents.rows() {
                    return Err(reference.malformed("rm.latent_embeds holds too few".into()));
                }
                next += 1;
                Input::Row(&latents, next - 1)
            } else {
                Input::Token(id)
            });
        }
        let mut sequence = rm.sequence();
        let row = rm.score_rows(&inputs, &mut [Run::admit(&mut sequence, length)])?;
        let slots = row.iter().zip(tokens).filter(|(_, id)| **id == ids.latent);
        sums.push(slots.map(|(score, _)| score).sum());
        scores.extend(row);
    }
    for (name, computed) in [(SCORES, scores), (SUMS, sums)] {
        if reference.has(name) {
            reference.check(name, &computed, Tolerance::Values)?;
        }
    }
    Ok(())
}
