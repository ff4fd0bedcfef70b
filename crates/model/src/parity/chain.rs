//! Latent chain-of-thought: plain forward, and trajectories replayed pass by pass.
//!
//! A pass is computed from the recorded latents of the passes before it, and its own latent and logits are compared.
//! Run freely, a recurrence through random weights amplifies rounding two- to threefold a pass, so that not even
//! PyTorch agrees with itself from one kind of processor to another (docs/numerics.md); step by step each pass is
//! held to what one pass may err.

use std::collections::HashMap;

use fathom::{
    Perturb, Tensor,
    ops::linear::{Epilogue, linear},
    random::Site,
};

use super::{Reference, Tolerance};
use crate::{
    body::Input,
    error::Result,
    latent::{Kind, LatentChain},
    pass::{Disturbance, Run, Wanted},
};

/// Masks of one row by pass and site, `[rows, h]` each.
type Masks = HashMap<(usize, Site), Vec<f32>>;

pub(super) fn compare(chain: &LatentChain, pad: Option<u32>, reference: &mut Reference) -> Result<()> {
    let prompts = prompts(reference)?;
    forward(chain, &prompts[0], reference)?;
    for run in ["greedy", "agn", "dropout"] {
        if reference.has(&format!("{run}.logits")) {
            replay(chain, pad, &prompts, run, reference)?;
        }
    }
    Ok(())
}

/// The prompts without their left padding.
fn prompts(reference: &Reference) -> Result<Vec<Vec<u32>>> {
    let [batch, length] = reference.shape("input_ids")?;
    if batch == 0 || length == 0 {
        return Err(reference.malformed(format!("input_ids is [{batch}, {length}]")));
    }
    let ids = reference.ids("input_ids")?;
    let mask =
        if reference.has("attention_mask") { reference.ids("attention_mask")? } else { vec![1; ids.len()] };
    if mask.len() != ids.len() {
        return Err(reference.malformed(format!(
            "attention_mask holds {} of {} positions",
            mask.len(),
            ids.len()
        )));
    }
    let rows = ids.chunks(length).zip(mask.chunks(length));
    let kept = |(ids, mask): (&[u32], &[u32])| {
        ids.iter().zip(mask).filter(|(_, m)| **m != 0).map(|(id, _)| *id).collect()
    };
    let prompts: Vec<Vec<u32>> = rows.map(kept).collect();
    match prompts.iter().position(Vec::is_empty) {
        Some(row) => Err(reference.malformed(format!("attention_mask hides all of row {row}"))),
        None => Ok(prompts),
    }
}

/// `forward_*_row0`: one pass over the first prompt.
fn forward(chain: &LatentChain, prompt: &[u32], reference: &mut Reference) -> Result<()> {
    let inputs: Vec<Input<'_>> = prompt.iter().map(|&id| Input::Token(id)).collect();
    let mut sequence = chain.body().sequence();
    let mut runs = [Run::admit(&mut sequence, prompt.len())];
    let mut scratch = chain.body().scratch();
    let state = chain.body().forward(&inputs, &mut runs, &Disturbance::None, Wanted::All, &mut scratch)?;
    let outputs = [
        ("forward_logits_row0", logits(chain, state)?),
        ("forward_last_hidden_row0", chain.feedback().apply(state.clone())?),
        ("forward_final_norm_row0", state.clone()),
    ];
    for (name, computed) in outputs {
        if reference.has(name) {
            reference.check(name, &computed.to_vec()?, Tolerance::Values)?;
        }
    }
    Ok(())
}

fn logits(chain: &LatentChain, state: &Tensor) -> Result<Tensor> {
    let mut logits = Tensor::empty(state.device());
    linear(state, chain.body().head(), None, Epilogue::None, &mut logits)?;
    Ok(logits)
}

/// One recorded run: `run`.sequences, .latent_thoughts and .logits.
fn replay(
    chain: &LatentChain,
    pad: Option<u32>,
    prompts: &[Vec<u32>],
    run: &str,
    reference: &mut Reference,
) -> Result<()> {
    let (sequences, latents, logits) =
        (format!("{run}.sequences"), format!("{run}.latent_thoughts"), format!("{run}.logits"));
    let [_, columns] = reference.shape("input_ids")?;
    let [_, steps, width] = reference.shape(&latents)?;
    let [_, passes, _] = reference.shape(&logits)?;
    let padded = reference.ids("input_ids")?;
    let recorded = reference.floats(&latents)?;
    let noise = format!("{run}.noise_per_latent_step");
    let noise = if reference.has(&noise) { Some(reference.floats(&noise)?) } else { None };
    let mut all = Replayed::default();
    for (row, prompt) in prompts.iter().enumerate() {
        let block = row * steps * width..(row + 1) * steps * width;
        let fed = recorded.get(block.clone()).unwrap_or(&[]).to_vec();
        let fed = Tensor::new(chain.body().head().device(), fed.len() / width.max(1), width, fed)?;
        let script = Script {
            chain,
            pad: pad.or(chain.ids().eos.first().copied()).unwrap_or(0),
            steps,
            passes,
            masks: masks(reference, run, row, columns - prompt.len(), width)?,
            noise: noise.as_ref().and_then(|noise| noise.get(block.clone())),
            recorded: &fed,
        };
        let mut replayed = script.play(prompt)?;
        if replayed.closed {
            // A thought that the model closed by itself has no further latents: nothing was fed in their places.
            let unfed = recorded.get(block).and_then(|recorded| recorded.get(replayed.latents.len()..));
            replayed.latents.extend_from_slice(unfed.unwrap_or(&[]));
        }
        all.ids.extend_from_slice(&padded[row * columns..(row + 1) * columns]);
        all.ids.extend(replayed.ids);
        all.latents.extend(replayed.latents);
        all.logits.extend(replayed.logits);
    }
    if reference.has(&sequences) {
        reference.check_ids(&sequences, &all.ids)?;
    }
    reference.check(&latents, &all.latents, Tolerance::Values)?;
    reference.check(&logits, &all.logits, Tolerance::Values)
}

#[derive(Default)]
struct Replayed {
    /// Ids behind the prompt: placeholders of thoughts, the end token, the answer, padding.
    ids: Vec<u32>,
    latents: Vec<f32>,
    logits: Vec<f32>,
    /// Whether the model ended its thought by itself.
    closed: bool,
}

/// One row's run.
struct Script<'a> {
    chain: &'a LatentChain,
    pad: u32,
    steps: usize,
    passes: usize,
    masks: Masks,
    noise: Option<&'a [f32]>,
    /// The latents as they were fed, `[steps, h]`.
    recorded: &'a Tensor,
}

impl Script<'_> {
    fn play(&self, prompt: &[u32]) -> Result<Replayed> {
        let (body, ids) = (self.chain.body(), self.chain.ids());
        let width = body.width();
        let mut sequence = body.sequence();
        let mut scratch = body.scratch();
        let mut out = Replayed::default();
        let mut thinking = true;
        let mut finished = false;
        for pass in 0..self.passes {
            let newest = out.latents.len().checked_sub(width).filter(|_| thinking);
            let fed = newest.map(|at| at / width).filter(|&row| row < self.recorded.rows());
            let inputs: Vec<Input<'_>> = match (fed, out.ids.last()) {
                (_, None) => prompt.iter().map(|&id| Input::Token(id)).collect(),
                (Some(row), _) => vec![Input::Row(self.recorded, row)],
                (None, Some(&id)) => vec![Input::Token(id)],
            };
            let recorded =
                |site| self.masks.get(&(pass, site)).map_or(Perturb::None, |mask| Perturb::Scale(mask));
            let mut runs = [Run::admit(&mut sequence, inputs.len())];
            let disturbance = Disturbance::Recorded(&recorded);
            let states = body.forward(&inputs, &mut runs, &disturbance, Wanted::All, &mut scratch)?;
            let mut state = Tensor::empty(states.device());
            states.select(&[states.rows() - 1], &mut state)?;
            let logits = logits(self.chain, &state)?.into_data()?;
            let token = arg_max(&logits);
            out.logits.extend(logits);
            let fed = out.latents.len() / width;
            let ends = self.chain.kind() == Kind::Colar && token == ids.latent_end;
            if thinking && fed < self.steps && !ends {
                let mut latent = self.chain.feedback().apply(state)?.into_data()?;
                if let Some(noise) = self.noise.and_then(|noise| noise.get(fed * width..(fed + 1) * width)) {
                    latent.iter_mut().zip(noise).for_each(|(x, n)| *x += n);
                }
                out.latents.extend(latent);
                out.ids.push(ids.latent);
                continue;
            }
            // CoLaR writes an ordinary token at its cap where the others are forced to the end token (spec latenttts §1.4).
            let forced = thinking && self.chain.kind() != Kind::Colar;
            out.closed |= thinking && ends;
            thinking = false;
            out.ids.push(match (forced, finished) {
                (true, _) => ids.latent_end,
                (_, true) => self.pad,
                _ => token,
            });
            finished |= !forced && ids.eos.contains(&token);
        }
        Ok(out)
    }
}

fn arg_max(logits: &[f32]) -> u32 {
    logits
        .iter()
        .enumerate()
        .fold((0, f32::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best })
        .0 as u32
}

/// The recorded masks of one row, without the columns of its `left` pads.
fn masks(reference: &Reference, run: &str, row: usize, left: usize, width: usize) -> Result<Masks> {
    let mut masks = Masks::new();
    for name in reference.names(&format!("{run}.mask.")) {
        let Some(at) = mask_site(&name) else { continue };
        let [_, columns, channels] = reference.shape(&name)?;
        let skipped = if at.0 == 0 { left } else { 0 };
        let values = reference.floats(&name)?;
        let rows = values.get((row * columns + skipped) * channels..(row + 1) * columns * channels);
        let rows = rows
            .filter(|_| channels == width)
            .ok_or_else(|| reference.malformed(format!("tensor {name:?}")))?;
        masks.insert(at, rows.to_vec());
    }
    Ok(masks)
}

/// Pass and site of `run.mask.{pass}.{module}`, by the published modules' names.
pub(super) fn mask_site(name: &str) -> Option<(usize, Site)> {
    let (_, rest) = name.split_once(".mask.")?;
    let (pass, module) = rest.split_once('.')?;
    let site = if module == "transformer.drop" {
        Site::Embedding
    } else if let Some(rest) = module.strip_prefix("transformer.h.") {
        match rest.split_once('.')? {
            (layer, "attn.resid_dropout") => Site::Attention(layer.parse().ok()?),
            (layer, "mlp.dropout") => Site::Mlp(layer.parse().ok()?),
            _ => return None,
        }
    } else {
        let (layer, rest) = module.strip_prefix("model.layers.")?.split_once('.')?;
        if rest != "mlp.down_proj.dropout" {
            return None;
        }
        Site::Mlp(layer.parse().ok()?)
    };
    Some((pass.parse().ok()?, site))
}
