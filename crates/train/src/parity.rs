//! Parity of losses and gradients with the published training code: the tensors of a folder's `reference.safetensors` that
//! [`fathom_model::parity`] leaves out.

use fathom::{Device, Tensor, ops::embedding::Input};
use fathom_model::{
    checkpoint::Checkpoint,
    config::Config,
    folder::Folder,
    parity::{Line, Verdict},
};

use crate::{
    error::{Error, Result},
    objective::{
        recurrence::{Examples, Iterations, RecurrentDepth},
        reward::{Labelled, Reward, Thoughts, contrastive},
    },
    parameters::{Gradients, Parameters},
};

const FILE: &str = "reference.safetensors";

/// Runs the comparison: one line a tensor.
///
/// # Errors
/// A folder that cannot be loaded, or a reference that lacks what its own runs need.
pub fn run(folder: &Folder, device: &Device) -> Result<Vec<Line>> {
    let reference = Checkpoint::open_file(folder, FILE)?;
    let mut lines = Vec::new();
    match Config::read(folder)? {
        Config::Huginn(config) => {
            let names: Vec<&str> = reference.names().filter(|name| name.starts_with("loss_")).collect();
            if !names.is_empty() {
                let checkpoint = Checkpoint::open(folder)?;
                let model = RecurrentDepth::load(&config, &checkpoint, device)?;
                for name in names {
                    recurrence(&model, &reference, name, device, &mut lines)?;
                }
            }
        }
        Config::Gpt2(_) | Config::Llama(_) if reference.contains("rm.contrastive_loss") => {
            reward(folder, &reference, device, &mut lines)?;
        }
        Config::Gpt2(_) | Config::Llama(_) => {}
    }
    Ok(lines)
}

fn recurrence(
    model: &RecurrentDepth,
    reference: &Checkpoint,
    name: &str,
    device: &Device,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let Some(iterations) = iterations(name) else { return Ok(()) };
    let [rows, length] = shape(reference, "input_ids")?;
    let tokens = ids(reference, "input_ids")?;
    let tokens: Vec<&[u32]> = tokens.chunks(length.max(1)).collect();
    let targets: Vec<Option<u32>> =
        reference.integers("labels")?.into_iter().map(|label| u32::try_from(label).ok()).collect();
    let states = reference.floats("s0")?;
    let width = states.len() / (rows * length).max(1);
    let initial = Tensor::new(device, rows * length, width, states)?;
    let mut gradients = model.parameters().gradients()?;
    let examples = Examples { tokens: &tokens, targets: &targets, initial };
    let loss = model.loss(examples, iterations, Some(&mut gradients))?;
    lines.push(of_loss(reference, name, loss)?);
    let prefix = format!("grad_{}.", name.trim_start_matches("loss_"));
    of_gradients(reference, &prefix, model.parameters(), &gradients, lines)
}

/// n and k of `loss_n{n}_k{k}`.
fn iterations(name: &str) -> Option<Iterations> {
    let (n, k) = name.strip_prefix("loss_n")?.split_once("_k")?;
    Some(Iterations { without: n.parse().ok()?, with: k.parse().ok()? })
}

fn reward(folder: &Folder, reference: &Checkpoint, device: &Device, lines: &mut Vec<Line>) -> Result<()> {
    let place = folder.subfolder("latent_rm").ok_or_else(|| malformed(reference, "latent_rm is missing"))?;
    let config = Config::read(&place)?;
    let checkpoint = Checkpoint::open(&place)?;
    let model = Reward::load(&config, &checkpoint, device)?;
    let latent = match &config {
        Config::Gpt2(config) => config.ids.latent,
        Config::Llama(config) => config.ids.latent,
        Config::Huginn(_) => None,
    };
    let latent = latent.ok_or_else(|| malformed(reference, "config.json names no latent_id"))?;
    let [rows, length] = shape(reference, "rm.input_ids")?;
    let tokens = ids(reference, "rm.input_ids")?;
    let [_, steps, width] = shape(reference, "rm.latent_embeds")?;
    let latents = Tensor::new(device, rows * steps, width, reference.floats("rm.latent_embeds")?)?;
    let labels: Vec<Vec<f32>> =
        reference.floats("rm.estimations")?.chunks(steps.max(1)).map(<[f32]>::to_vec).collect();
    // What stands behind the latents has no part in their scores; rows with one prompt are a question's.
    let mut questions: Vec<Thoughts<'_>> = Vec::new();
    for (row, tokens) in tokens.chunks(length.max(1)).enumerate() {
        let first = tokens.iter().position(|&id| id == latent).unwrap_or(length);
        if tokens[first..].iter().take_while(|&&id| id == latent).count() != steps {
            return Err(malformed(reference, "rm.input_ids and rm.latent_embeds do not agree"));
        }
        let thought = (row * steps..(row + 1) * steps).map(|row| Input::Row(&latents, row)).collect();
        match questions.last_mut().filter(|last| *last.prompt == tokens[..first]) {
            Some(last) => last.trajectories.push(thought),
            None => questions.push(Thoughts { prompt: &tokens[..first], trajectories: vec![thought] }),
        }
    }
    if labels.len() != rows || latents.rows() != rows * steps {
        return Err(malformed(reference, "rm.input_ids and rm.estimations do not agree"));
    }
    // The published mean is over questions, here one, and padded positions (spec latenttts §3.4).
    let share = 1.0 / length as f64;
    let mut gradients = model.parameters().gradients()?;
    let judge = |scores: &[Vec<f32>]| {
        let (loss, gradients) = contrastive(Labelled { scores, labels: &labels });
        let scaled = gradients.into_iter().map(|of_one| of_one.into_iter().map(|d| d * share).collect());
        (loss * share, scaled.collect())
    };
    let loss = model.loss(&questions, judge, &mut gradients)?;
    lines.push(of_loss(reference, "rm.contrastive_loss", loss)?);
    of_gradients(reference, "rm.grad.", model.parameters(), &gradients, lines)
}

/// |Δ| ≤ 2·10⁻⁵·max(1, |ref|): a mean over a whole batch of what passes through whole networks in f32.
fn of_loss(reference: &Checkpoint, name: &str, loss: f64) -> Result<Line> {
    let expected = reference.floats(name)?.first().copied().map_or(f64::NAN, f64::from);
    let error = (loss - expected).abs();
    let verdict = if error <= 2e-5 * expected.abs().max(1.0) { Verdict::Pass } else { Verdict::Fail };
    Ok(Line { name: name.into(), max_error: Some(error as f32), verdict })
}

/// ‖Δ‖ ≤ 10⁻³·‖ref‖ + 10⁻⁵ a tensor; those that a shift of all scores leaves as they are, are zero up to rounding.
fn of_gradients(
    reference: &Checkpoint,
    prefix: &str,
    parameters: &Parameters,
    gradients: &Gradients,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let names = reference.names().filter(|name| name.starts_with(prefix));
    for name in names {
        let id = parameters.ids().find(|&id| parameters.name(id) == &name[prefix.len()..]);
        let Some(id) = id else {
            lines.push(Line { name: name.into(), max_error: None, verdict: Verdict::Unknown });
            continue;
        };
        let (computed, expected) = (gradients[id].to_vec()?, reference.floats(name)?);
        let off = computed.iter().zip(&expected).map(|(&a, &b)| f64::from(a) - f64::from(b));
        let (mut square, mut worst) = (0.0, 0.0_f64);
        for error in off {
            square += error * error;
            worst = worst.max(error.abs());
        }
        let norm = expected.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let within = computed.len() == expected.len() && square.sqrt() <= 1e-3 * norm + 1e-5;
        let verdict = if within { Verdict::Pass } else { Verdict::Fail };
        lines.push(Line { name: name.into(), max_error: Some(worst as f32), verdict });
    }
    Ok(())
}

fn shape<const D: usize>(reference: &Checkpoint, name: &str) -> Result<[usize; D]> {
    let shape = reference.shape(name).unwrap_or_default();
    shape.try_into().map_err(|_| malformed(reference, &format!("tensor {name:?} has shape {shape:?}")))
}

fn ids(reference: &Checkpoint, name: &str) -> Result<Vec<u32>> {
    let narrow =
        |id: i64| u32::try_from(id).map_err(|_| malformed(reference, &format!("tensor {name:?} holds {id}")));
    reference.integers(name)?.into_iter().map(narrow).collect()
}

fn malformed(reference: &Checkpoint, what: &str) -> Error {
    fathom_model::Error::Format { path: reference.place().into(), what: what.into() }.into()
}
