//! trace.json and trace.safetensors: what was recorded, and what follows from it.

use fathom_model::perturbation::Perturbation;
use fathom_search::trace::{Class, Projection, Trace, TraceOptions, Trajectory, classify, distance, project};
use serde::Serialize;

use super::options::Asked;
use crate::error::{Error, Result};
use crate::table::{Align, Table};

/// Principal components that are kept.
const COMPONENTS: usize = 6;

/// The content of trace.json.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    pub(super) version: &'static str,
    pub(super) model: String,
    pub(super) reward: Option<String>,
    pub(super) device: String,
    pub(super) dtype: String,
    pub(super) options: TraceOptions,
    pub(super) questions: Vec<Traced>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Traced {
    pub(super) question: usize,
    pub(super) text: String,
    pub(super) target: Option<f64>,
    /// The answer without perturbation.
    pub(super) answer: String,
    /// Tokens of the prompt, where tracks are tokens.
    pub(super) prompt: usize,
    pub(super) tracks: Vec<Track>,
    /// Mean distance of two trajectories over their mean norm, by step from 1 on.
    pub(super) spread: Vec<Spread>,
    pub(super) samples: Vec<Sample>,
}

/// The path of one token, or of one trajectory of a latent chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Track {
    /// The token, or the sampler.
    pub(super) label: String,
    pub(super) class: Class,
    /// The step of the first state: 0 for tokens, 1 for trajectories.
    pub(super) first_step: usize,
    /// ‖s_t − s_r‖ / ‖s_r‖ from the first step on.
    pub(super) distance: Vec<f64>,
    /// ‖s_t − s_{t−1}‖ / ‖s_t‖ from the step after on.
    pub(super) change: Vec<f64>,
    /// Mean distance of the states from two initial states over their mean norm, from step 0 on; tokens alone.
    pub(super) apart: Vec<f64>,
    /// Coordinates along principal components from step 1 on: of a token's own path, or of all trajectories together.
    pub(super) points: Vec<Vec<f64>>,
    /// The share of the variance along each component.
    pub(super) variance: Vec<f64>,
}

/// How far a sampler's trajectories lie apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) sampler: String,
    pub(super) by_step: Vec<f64>,
}

/// One trajectory's end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) sampler: String,
    pub(super) answer: String,
    /// Whether it is right, where that is known.
    pub(super) right: Option<bool>,
    /// LatentRM's score of each step.
    pub(super) rewards: Option<Vec<f32>>,
}

/// A sampler's name for people.
fn name(perturbation: &Perturbation) -> String {
    match perturbation {
        Perturbation::None => "none".to_owned(),
        Perturbation::Dropout { p, .. } => format!("dropout p = {p}"),
        Perturbation::Noise { std, .. } => format!("noise σ = {std}"),
        Perturbation::State => "initial state".to_owned(),
    }
}

impl Traced {
    /// What follows from a trace.
    pub(super) fn new(asked: &Asked, trace: &Trace) -> Self {
        let tracks = if trace.starts.is_empty() { of_trajectories(trace) } else { of_tokens(trace) };
        let sampled = || trace.sampled.iter().flat_map(|s| s.trajectories.iter().map(move |one| (s, one)));
        let sample = |sampler: &Perturbation, one: &Trajectory| Sample {
            sampler: name(sampler),
            answer: one.text.trim().to_owned(),
            right: asked.target.map(|target| one.value == target),
            rewards: one.rewards.clone(),
        };
        let apart = trace.sampled.iter().filter(|sampled| sampled.trajectories.len() > 1);
        let spread = apart.map(|sampled| {
            let views: Vec<&[Vec<f32>]> =
                sampled.trajectories.iter().map(|one| one.latents.as_slice()).collect();
            Spread { sampler: name(&sampled.perturbation), by_step: distance::spread(&views) }
        });
        let samples: Vec<Sample> =
            sampled().map(|(sampled, one)| sample(&sampled.perturbation, one)).collect();
        Self {
            question: asked.index,
            text: asked.question.clone(),
            target: asked.target,
            answer: samples.first().map_or_else(String::new, |sample| sample.answer.clone()),
            prompt: trace.prompt,
            tracks,
            spread: spread.collect(),
            samples,
        }
    }
}

/// A track a token. Its path begins at step 1: s_0 is drawn, and lies far off.
fn of_tokens(trace: &Trace) -> Vec<Track> {
    let track = |(position, token): (usize, fathom_search::trace::Track<'_>)| {
        let path: Vec<&[f32]> = token.states.iter().skip(1).map(Vec::as_slice).collect();
        let Projection { points, variance } = project(&path, COMPONENTS);
        let starts: Vec<&[Vec<f32>]> =
            trace.starts.iter().filter_map(|start| start.states.get(position).map(Vec::as_slice)).collect();
        Track {
            label: token.label.to_owned(),
            class: classify(token.states),
            first_step: 0,
            distance: distance::to_last(token.states),
            change: distance::changes(token.states),
            apart: distance::spread(&starts),
            points,
            variance,
        }
    };
    trace.tokens().enumerate().map(track).collect()
}

/// A track a trajectory, all in the same plane.
fn of_trajectories(trace: &Trace) -> Vec<Track> {
    let all: Vec<(String, &Trajectory)> = trace
        .sampled
        .iter()
        .flat_map(|sampled| sampled.trajectories.iter().map(|one| (name(&sampled.perturbation), one)))
        .collect();
    let states: Vec<&[f32]> = all.iter().flat_map(|(_, one)| one.latents.iter().map(Vec::as_slice)).collect();
    let Projection { points, variance } = project(&states, COMPONENTS);
    let mut points = points.into_iter();
    let track = |(label, one): (String, &Trajectory)| Track {
        label,
        class: classify(&one.latents),
        first_step: 1,
        distance: distance::to_last(&one.latents),
        change: distance::changes(&one.latents),
        apart: Vec::new(),
        points: points.by_ref().take(one.latents.len()).collect(),
        variance: variance.clone(),
    };
    all.into_iter().map(track).collect()
}

/// A tensor of trace.safetensors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recorded {
    name: String,
    shape: Vec<usize>,
    data: Vec<f32>,
}

/// States of a question: `question.I.states` `[tokens, r + 1, h]` of recurrent depth, and `question.I.SAMPLER.J` `[steps, h]`
/// of trajectory J.
pub(super) fn recorded(asked: &Asked, trace: &Trace) -> Vec<Recorded> {
    let of = |name: String, lead: &[usize], rows: &[Vec<f32>]| {
        let width = rows.first().map_or(0, Vec::len);
        let shape = lead.iter().copied().chain([width]).collect();
        Recorded { name: format!("question.{}.{name}", asked.index), shape, data: rows.concat() }
    };
    let mut all = Vec::new();
    if let Some(start) = trace.starts.first() {
        let steps = start.states.first().map_or(0, Vec::len);
        all.push(of("states".to_owned(), &[start.states.len(), steps], &start.states.concat()));
    }
    for sampled in &trace.sampled {
        let sampler = match sampled.perturbation {
            Perturbation::None => "none",
            Perturbation::Dropout { .. } => "dropout",
            Perturbation::Noise { .. } => "noise",
            Perturbation::State => "state",
        };
        let tensors = sampled.trajectories.iter().enumerate();
        all.extend(tensors.map(|(j, one)| of(format!("{sampler}.{j}"), &[one.latents.len()], &one.latents)));
    }
    all
}

/// The bytes of trace.safetensors.
///
/// # Errors
/// Sizes that the format cannot hold.
pub(super) fn tensors(recorded: &[Recorded]) -> Result<Vec<u8>> {
    use safetensors::{Dtype, tensor::TensorView};
    let bytes: Vec<Vec<u8>> =
        recorded.iter().map(|one| one.data.iter().flat_map(|x| x.to_le_bytes()).collect()).collect();
    let failed = |error: safetensors::SafeTensorError| Error::Engine(error.into());
    let mut views = Vec::with_capacity(recorded.len());
    for (one, bytes) in recorded.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, one.shape.clone(), bytes).map_err(failed)?;
        views.push((one.name.as_str(), view));
    }
    safetensors::serialize(views, None).map_err(failed)
}

impl Summary {
    /// Classes of the first question's tokens, or how many of each its trajectories have, and what its samplers came to.
    pub(super) fn table(&self) -> String {
        let Some(first) = self.questions.first() else { return String::new() };
        let tracks = if first.prompt > 0 { tokens(&first.tracks) } else { trajectories(&first.tracks) };
        let mut samplers = Table::new([
            ("sampler", Align::Left),
            ("spread at step 1", Align::Right),
            ("at the last", Align::Right),
        ]);
        for spread in &first.spread {
            let shown = |x: Option<&f64>| x.map_or_else(String::new, |x| format!("{x:.4}"));
            let ends = [shown(spread.by_step.first()), shown(spread.by_step.last())];
            samplers.row([spread.sampler.clone()].into_iter().chain(ends));
        }
        format!("question {}: {}\n\n{}\n{}", first.question, first.answer, tracks.render(), samplers.render())
    }
}

/// A row a token: its distance from the last state halfway, and the last change.
fn tokens(tracks: &[Track]) -> Table {
    let mut table = Table::new([
        ("token", Align::Left),
        ("class", Align::Left),
        ("distance halfway", Align::Right),
        ("last change", Align::Right),
    ]);
    for track in tracks {
        let shown = |x: Option<&f64>| x.map_or_else(String::new, |x| format!("{x:.1e}"));
        let halfway = shown(track.distance.get(track.distance.len() / 2));
        let label = track.label.trim_matches(' ').to_owned();
        table.row([label, track.class.to_string(), halfway, shown(track.change.last())]);
    }
    table
}

/// A row for each class of each sampler.
fn trajectories(tracks: &[Track]) -> Table {
    let mut table =
        Table::new([("sampler", Align::Left), ("class", Align::Left), ("trajectories", Align::Right)]);
    let mut counts: Vec<(&str, Class, usize)> = Vec::new();
    for track in tracks {
        match counts.iter_mut().find(|(label, class, _)| *label == track.label && *class == track.class) {
            Some((_, _, count)) => *count += 1,
            None => counts.push((&track.label, track.class, 1)),
        }
    }
    for (label, class, count) in counts {
        table.row([label.to_owned(), class.to_string(), count.to_string()]);
    }
    table
}
