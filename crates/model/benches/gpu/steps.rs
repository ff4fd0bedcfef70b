//! Whole steps of models of random weights, as the models themselves take them.

use std::error::Error;

use fathom::{DType, random::Draw};
use fathom_model::{
    load::{Model, Network as Loaded},
    perturbation::{Perturbation, Scope},
    reasoner::{Branch, Reasoner},
};
use rayon::prelude::*;

use crate::{
    case::{Case, Network},
    data::element,
    network::{NETWORKS, folder},
    timing::{Bench, Timed},
};

/// Perturbs the thought alone, so that all trajectories share a prompt.
const NOISE: Perturbation = Perturbation::Noise { std: 0.1, scope: Scope::Latent };

/// Answers that are timed: a figure is the difference between a longer one and a shorter one.
const SHORT: usize = 2;

/// Times of a step that are taken.
const RUNS: usize = 10;

/// Random elements that tensors take in turn: no power of two, so that no two rows are alike.
const PATTERN: usize = 1_048_573;

const SMALL: &str = r#"{"model_type": "huginn_raven", "vocab_size": 256, "n_embd": 32, "n_heads": 2,
    "num_key_value_heads": 2, "intermediate_size": 64, "n_layers_in_prelude": 1, "n_layers_in_recurrent_block": 1,
    "n_layers_in_coda": 1, "mean_recurrence": 4, "block_size": 64, "injection_type": "linear",
    "block_class_name": "SandwichBlock", "norm_class_name": "RMSNorm_llama", "nonlin_name": "SiLU",
    "mlp_class_name": "GatedMLP", "state_init": "like-init", "bias": false, "eos_token_id": 255}"#;

/// The network that was asked for last.
#[derive(Default)]
pub(crate) struct Models(Option<(Network, Model)>);

/// Elements of a tensor: norms and their like near 1, biases 0, matrices `[n, k]` of variance 1/k.
fn fill(name: &str, shape: &[usize], out: &mut [u8]) {
    let scale = match shape {
        [_] if name.ends_with("bias") => 0.0,
        [_] => 0.05,
        [.., k] => 1.0 / (*k as f32).sqrt(),
        [] => 0.0,
    };
    let middle = if shape.len() == 1 && !name.ends_with("bias") { 1.0 } else { 0.0 };
    // Tensors of one size begin elsewhere.
    let first =
        name.bytes().fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % PATTERN;
    let half = |index: usize| half::bf16::from_f32(middle + scale * element(index % PATTERN)).to_le_bytes();
    out.par_chunks_mut(1 << 16).enumerate().for_each(|(chunk, bytes)| {
        let begin = first + (chunk << 15);
        bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .enumerate()
            .for_each(|(index, place)| *place = half(begin + index));
    });
}

fn model(bench: &mut Bench, network: Network) -> Result<&Model, Box<dyn Error>> {
    let device = bench.device();
    if bench.models.0.as_ref().is_none_or(|(kept, _)| *kept != network) {
        // What was kept before makes room first.
        bench.models.0 = None;
        let (name, config) = match network {
            Network::Huginn => (NETWORKS[0].0, NETWORKS[0].1),
            Network::Gpt2 => (NETWORKS[1].0, NETWORKS[1].1),
            Network::Llama => (NETWORKS[2].0, NETWORKS[2].1),
            Network::Small => ("small", SMALL),
        };
        let loaded = Model::load(&folder(name, config, Some(fill))?, &device, DType::Bf16)?;
        bench.models.0 = Some((network, loaded));
    }
    bench.models.0.as_ref().map(|(_, model)| model).ok_or_else(|| "no model".into())
}

/// What a case asks of a model.
#[derive(Clone, Copy)]
struct Asked {
    iterations: usize,
    prompt: usize,
    own: usize,
    rows: usize,
}

fn asked(case: Case) -> Result<(Network, Asked), Box<dyn Error>> {
    match case {
        Case::Step { network, iterations, prompt, own, rows } => {
            Ok((network, Asked { iterations, prompt, own, rows }))
        }
        _ => Err(format!("{case} is no step").into()),
    }
}

/// Times a case: for recurrent depth a token of the answer, else a step of the thought.
pub(crate) fn time(bench: &mut Bench, case: Case) -> Result<Timed, Box<dyn Error>> {
    let (network, asked) = asked(case)?;
    let gpu = bench.gpu.clone();
    let error = alike(bench, network, asked)?;
    let mut clock = |work: &mut dyn FnMut() -> fathom::Result<()>| gpu.elapsed(work);
    let mut seconds = match &model(bench, network)?.network {
        Loaded::Huginn(huginn) => tokens(huginn, asked, &mut clock)?,
        Loaded::Chain(chain) => latents(chain, asked, &mut clock)?,
    };
    seconds.sort_by(f64::total_cmp);
    Ok(Timed { seconds, error })
}

/// Answers of several trajectories, and of the first by itself, are the same; by how much they are not.
pub(crate) fn check(bench: &mut Bench, case: Case) -> Result<f64, Box<dyn Error>> {
    let (network, asked) = asked(case)?;
    alike(bench, network, asked)
}

fn alike(bench: &mut Bench, network: Network, asked: Asked) -> Result<f64, Box<dyn Error>> {
    let answers = |rows: usize, model: &Model| -> Result<Vec<Vec<u32>>, fathom_model::Error> {
        let asked = Asked { rows, ..asked };
        match &model.network {
            Loaded::Huginn(reasoner) => answer(reasoner, asked, SHORT),
            Loaded::Chain(reasoner) => answer(reasoner, asked, SHORT),
        }
    };
    let model = model(bench, network)?;
    let (alone, together) = (answers(1, model)?, answers(asked.rows, model)?);
    match alone.first() == together.first() {
        true => Ok(0.0),
        false => {
            Err(format!("trajectory 0 says {:?} alone, {:?} among others", alone.first(), together.first())
                .into())
        }
    }
}

type Clock<'a> = dyn FnMut(&mut dyn FnMut() -> fathom::Result<()>) -> fathom::Result<f64> + 'a;

/// Runs `work` by the clock, and what it made.
fn by<T>(
    clock: &mut Clock<'_>,
    work: impl FnOnce() -> Result<T, fathom_model::Error>,
) -> Result<(T, f64), Box<dyn Error>> {
    let (mut work, mut made) = (Some(work), None);
    let seconds = clock(&mut || {
        made = work.take().map(|work| work());
        Ok(())
    })?;
    Ok((made.ok_or("the clock ran nothing")??, seconds))
}

/// Seconds of a token: an answer to the last own position less one that is shorter.
fn tokens<R: Reasoner>(
    reasoner: &R,
    asked: Asked,
    clock: &mut Clock<'_>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let long = asked.own.max(SHORT + 1);
    let mut seconds = Vec::new();
    for _ in 0..=RUNS {
        let mut of = |tokens: usize| -> Result<f64, Box<dyn Error>> {
            let thoughts = thought(reasoner, asked)?;
            let (answers, seconds) = by(clock, || reasoner.read_out(thoughts, tokens, NOISE))?;
            match answers.iter().all(|answer| answer.len() == tokens) {
                true => Ok(seconds),
                false => Err(format!("an answer ends before {tokens} tokens").into()),
            }
        };
        seconds.push((of(long)? - of(SHORT)?) / (long - SHORT) as f64);
    }
    // The first is there to warm up.
    seconds.remove(0);
    Ok(seconds)
}

/// Seconds of a latent step: all of a thought's, behind a prompt so long that the last stands at the last own position.
fn latents<R: Reasoner>(
    reasoner: &R,
    asked: Asked,
    clock: &mut Clock<'_>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let taken = asked.iterations - reasoner.prefilled_steps();
    let mut seconds = Vec::new();
    for _ in 0..=RUNS {
        let thoughts = begin(reasoner, asked)?;
        let (_, all) = by(clock, || stepped(reasoner, thoughts, taken, asked.rows))?;
        seconds.push(all / taken as f64);
    }
    seconds.remove(0);
    Ok(seconds)
}

fn draws(rows: usize) -> impl Iterator<Item = Draw> {
    (0..rows as u32).map(|trajectory| Draw { key: 1, trajectory })
}

fn begin<R: Reasoner>(reasoner: &R, asked: Asked) -> Result<Vec<R::Thought>, fathom_model::Error> {
    let Asked { iterations, prompt, rows, .. } = asked;
    // Ids of words, whatever the vocabulary.
    let prompt: Vec<u32> = (0..prompt as u32).map(|at| 5 + at * 7 % 200).collect();
    reasoner.prefill(&prompt, iterations, &draws(rows).collect::<Vec<_>>(), 0, NOISE)
}

fn stepped<R: Reasoner>(
    reasoner: &R,
    thoughts: Vec<R::Thought>,
    count: usize,
    rows: usize,
) -> Result<Vec<R::Thought>, fathom_model::Error> {
    (0..count).try_fold(thoughts, |thoughts, _| {
        let branches = thoughts.into_iter().zip(draws(rows));
        let branches = branches.map(|(thought, draw)| Branch { thought, draws: vec![draw] }).collect();
        Ok(reasoner.step(branches, NOISE)?.into_iter().flatten().collect())
    })
}

fn thought<R: Reasoner>(reasoner: &R, asked: Asked) -> Result<Vec<R::Thought>, fathom_model::Error> {
    let taken = asked.iterations - reasoner.prefilled_steps();
    stepped(reasoner, begin(reasoner, asked)?, taken, asked.rows)
}

fn answer<R: Reasoner>(
    reasoner: &R,
    asked: Asked,
    tokens: usize,
) -> Result<Vec<Vec<u32>>, fathom_model::Error> {
    reasoner.read_out(thought(reasoner, asked)?, tokens, NOISE)
}
