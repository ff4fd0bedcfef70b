//! LatentRM-guided beam search (spec latenttts §3.7).
//!
//! B beams are each continued in C ways; the B·C candidates are ranked by S = Σ r_t and the B best survive, in the
//! order they stood in. They are ranked and forked every `every` steps, and ranked at the end. The first steps draw B·C
//! candidates from the prompt. Candidate c of beam b takes draw b·C + c of the beams' own stream until the next ranking; with
//! C = 1 nothing branches, and beam b is trajectory b.

use fathom::random::{Draw, Stream};
use fathom_model::{
    Result,
    perturbation::Perturbation,
    reasoner::{Branch, Reasoner, Thought},
};

use crate::{
    scorer::Scorer,
    trajectories::{Thinking, draws},
};

/// How wide the search is, and how often it prunes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Width {
    /// B ≥ 1.
    pub beams: usize,
    /// C ≥ 1.
    pub candidates: usize,
    /// Steps from one pruning to the next, at least 1: a latent or a core iteration each.
    pub every: usize,
}

/// A surviving thought.
#[derive(Debug)]
pub struct Beam<T, S> {
    /// The thought.
    pub thought: T,
    /// The scorer's memory of it.
    pub state: S,
    /// S, the sum of its scores.
    pub score: f32,
}

/// The surviving beams, in the order of their candidates; [`best`] of them is the search's answer.
///
/// # Errors
/// As [`Reasoner::prefill`], [`Reasoner::step`] and [`Scorer::score`].
pub fn beam_search<R: Reasoner, S: Scorer>(
    reasoner: &R,
    scorer: &S,
    prompt: &[u32],
    thinking: Thinking,
    width: Width,
) -> Result<Vec<Beam<R::Thought, S::State>>> {
    let Thinking { steps, perturbation, seed } = thinking;
    let Width { beams, candidates, every } = width;
    let every = every.max(1);
    let stream = if candidates == 1 { Stream::Trajectory } else { Stream::Beam };
    let first = draws(seed, prompt, stream, 0..beams * candidates);
    let mut step = reasoner.prefilled_steps();
    let thoughts = reasoner.prefill(prompt, steps, &first, seed, perturbation)?;
    let states = scorer.begin(prompt, first.len())?;
    let mut grown: Vec<Candidate<R::Thought, S::State>> = thoughts
        .into_iter()
        .zip(states)
        .zip(first)
        .map(|((thought, state), draw)| Candidate {
            beam: Beam { thought, state, score: 0.0 },
            seen: 0,
            draw,
        })
        .collect();
    loop {
        // All steps of a candidate up to the ranking have one draw.
        let end = steps.min(step.next_multiple_of(every).max(every));
        while step < end && !grown.iter().all(|candidate| candidate.beam.thought.ended()) {
            grown = go_on(reasoner, grown, perturbation)?;
            step += 1;
        }
        let survivors = rank(scorer, grown, beams)?;
        if step == steps || survivors.iter().all(|beam| beam.thought.ended()) {
            return Ok(survivors);
        }
        grown = fork(reasoner, scorer, survivors, perturbation, |index| {
            draws(seed, prompt, stream, index * candidates..(index + 1) * candidates)
        })?;
        step += 1;
    }
}

/// A beam on its way to the next ranking.
struct Candidate<T, S> {
    beam: Beam<T, S>,
    /// Latents that were scored.
    seen: usize,
    draw: Draw,
}

/// One further step of each candidate.
fn go_on<R: Reasoner, S>(
    reasoner: &R,
    candidates: Vec<Candidate<R::Thought, S>>,
    perturbation: Perturbation,
) -> Result<Vec<Candidate<R::Thought, S>>> {
    let (mut branches, mut rest) =
        (Vec::with_capacity(candidates.len()), Vec::with_capacity(candidates.len()));
    for Candidate { beam: Beam { thought, state, score }, seen, draw } in candidates {
        branches.push(Branch { thought, draws: vec![draw] });
        rest.push((state, score, seen, draw));
    }
    let thoughts = reasoner.step(branches, perturbation)?.into_iter().flatten();
    let stepped = thoughts.zip(rest).map(|(thought, (state, score, seen, draw))| Candidate {
        beam: Beam { thought, state, score },
        seen,
        draw,
    });
    Ok(stepped.collect())
}

/// One step of each beam, a candidate a draw.
fn fork<R: Reasoner, S: Scorer>(
    reasoner: &R,
    scorer: &S,
    beams: Vec<Beam<R::Thought, S::State>>,
    perturbation: Perturbation,
    draws: impl Fn(usize) -> Vec<Draw>,
) -> Result<Vec<Candidate<R::Thought, S::State>>> {
    let (mut branches, mut parents) = (Vec::with_capacity(beams.len()), Vec::with_capacity(beams.len()));
    for (index, Beam { thought, state, score }) in beams.into_iter().enumerate() {
        parents.push((state, score, thought.latents().len()));
        branches.push(Branch { thought, draws: draws(index) });
    }
    let mut grown = Vec::new();
    let stepped = reasoner.step(branches, perturbation)?;
    for (index, (children, (state, score, seen))) in stepped.into_iter().zip(parents).enumerate() {
        // Continuations that all ended without a further latent are one candidate.
        let mut closed = false;
        let same = |child: &R::Thought| child.ended() && child.latents().len() == seen;
        let children: Vec<(R::Thought, Draw)> = children
            .into_iter()
            .zip(draws(index))
            .filter(|(child, _)| !same(child) || !std::mem::replace(&mut closed, true))
            .collect();
        let states = scorer.fork(state, children.len());
        let forks = children.into_iter().zip(states);
        grown.extend(forks.map(|((thought, draw), state)| Candidate {
            beam: Beam { thought, state, score },
            seen,
            draw,
        }));
    }
    Ok(grown)
}

/// The first beam of the largest score; one that is not a number never wins over one that is.
pub fn best<T, S>(beams: Vec<Beam<T, S>>) -> Option<Beam<T, S>> {
    beams.into_iter().reduce(|best, beam| if value(beam.score) > value(best.score) { beam } else { best })
}

/// A score as it ranks: what is not a number ranks last.
fn value(score: f32) -> f32 {
    if score.is_nan() { f32::NEG_INFINITY } else { score }
}

/// Scores what each candidate has thought beyond the `seen` latents of its parent, and keeps the `keep` best; the
/// earlier candidate wins a tie.
fn rank<T: Thought, S: Scorer>(
    scorer: &S,
    mut candidates: Vec<Candidate<T, S::State>>,
    keep: usize,
) -> Result<Vec<Beam<T, S::State>>> {
    let mut states = Vec::with_capacity(candidates.len());
    let mut latents = Vec::with_capacity(candidates.len());
    for Candidate { beam, seen, .. } in &mut candidates {
        states.push(&mut beam.state);
        latents.push(beam.thought.latents().get(*seen..).unwrap_or(&[]));
    }
    let scores = scorer.score(&mut states, &latents)?;
    for (Candidate { beam, .. }, scores) in candidates.iter_mut().zip(scores) {
        beam.score += scores.iter().sum::<f32>();
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    let score = |index: usize| value(candidates[index].beam.score);
    order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
    order.truncate(keep);
    order.sort_unstable();
    let kept = candidates.into_iter().enumerate().filter(|(index, _)| order.binary_search(index).is_ok());
    Ok(kept.map(|(_, candidate)| candidate.beam).collect())
}
