//! Steps of a model, counted.

use fathom::{
    counting::{Counting, Counts},
    random::Draw,
};
use fathom_model::{
    Result,
    huginn::Huginn,
    latent::LatentChain,
    perturbation::{Perturbation, Scope},
    reasoner::{Branch, Reasoner},
};

/// How often a thought steps, positions before a trajectory's own, and of its own, the step's included.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) steps: usize,
    pub(crate) prompt: usize,
    pub(crate) own: usize,
}

/// Of the networks, in their order: those of docs/performance.md.
pub(crate) const LENGTHS: [Lengths; 3] = [
    Lengths { steps: 32, prompt: 500, own: 50 },
    Lengths { steps: 6, prompt: 65, own: 12 },
    Lengths { steps: 20, prompt: 200, own: 40 },
];

/// Perturbs the thought alone, so that all trajectories share a prompt.
const NOISE: Perturbation = Perturbation::Noise { std: 0.1, scope: Scope::Latent };

/// What a step brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A latent, or an iteration of one.
    Thought,
    /// A token of the answer.
    Token,
}

/// A step of so many trajectories, and which positions it attends to.
pub(crate) struct Step {
    pub(crate) rows: usize,
    /// Positions that all share, and of each trajectory's own, the step's included.
    pub(crate) positions: [usize; 2],
    pub(crate) counts: Counts,
}

/// The latent pass of a chain at its last own position.
pub(crate) fn thought(
    chain: &LatentChain,
    device: &Counting,
    Lengths { prompt, own, .. }: Lengths,
    rows: usize,
) -> Result<Step> {
    let counts = last(chain, device, prompt, own, rows)?;
    Ok(Step { rows, positions: [prompt, own], counts })
}

/// The last iteration of a thought: its one position is the prompt's last.
pub(crate) fn recurrence(
    huginn: &Huginn,
    device: &Counting,
    Lengths { steps: iterations, prompt, .. }: Lengths,
    rows: usize,
) -> Result<Step> {
    let counts = last(huginn, device, prompt, iterations, rows)?;
    Ok(Step { rows, positions: [prompt - 1, 1], counts })
}

/// The pass that brings an answer's last token: the whole answer's counts less those of one that is shorter by a token.
pub(crate) fn answer<R: Reasoner>(
    reasoner: &R,
    device: &Counting,
    Lengths { steps: thinking, prompt, own }: Lengths,
    rows: usize,
) -> Result<Step> {
    // A recurrent thought stands at the prompt's last position; a chain's thoughts and the token that ends them have their own.
    let (prompt, before) = match reasoner.prefilled_steps() {
        0 => (prompt + 1, 1),
        _ => (prompt, thinking + 1),
    };
    let count = |tokens: usize| -> Result<Counts> {
        let thoughts = begin(reasoner, prompt, thinking, rows)?;
        let thoughts = steps(reasoner, thoughts, thinking - reasoner.prefilled_steps(), rows)?;
        device.take();
        reasoner.read_out(thoughts, tokens, NOISE)?;
        Ok(device.take())
    };
    // Memory that is kept between calls has its size from here on.
    count(own - before + 1)?;
    let (shorter, longer) = (count(own - before)?, count(own - before + 1)?);
    let positions = [prompt - usize::from(reasoner.prefilled_steps() == 0), own];
    Ok(Step { rows, positions, counts: beyond(longer, &shorter) })
}

fn draws(rows: usize) -> impl Iterator<Item = Draw> {
    (0..rows as u32).map(|trajectory| Draw { key: 1, trajectory })
}

fn begin<R: Reasoner>(reasoner: &R, prompt: usize, steps: usize, rows: usize) -> Result<Vec<R::Thought>> {
    reasoner.prefill(&vec![5; prompt], steps, &draws(rows).collect::<Vec<_>>(), 0, NOISE)
}

/// Steps all thoughts so often.
fn steps<R: Reasoner>(
    reasoner: &R,
    thoughts: Vec<R::Thought>,
    count: usize,
    rows: usize,
) -> Result<Vec<R::Thought>> {
    (0..count).try_fold(thoughts, |thoughts, _| {
        let branches = thoughts.into_iter().zip(draws(rows));
        let branches = branches.map(|(thought, draw)| Branch { thought, draws: vec![draw] }).collect();
        Ok(reasoner.step(branches, NOISE)?.into_iter().flatten().collect())
    })
}

/// The last of so many steps, the second time that they are taken: lists of launches came once before.
fn last<R: Reasoner>(
    reasoner: &R,
    device: &Counting,
    prompt: usize,
    count: usize,
    rows: usize,
) -> Result<Counts> {
    let mut counts = Counts::default();
    for _ in 0..2 {
        let thoughts = steps(reasoner, begin(reasoner, prompt, count, rows)?, count - 1, rows)?;
        device.take();
        let thoughts = steps(reasoner, thoughts, 1, rows)?;
        counts = device.take();
        drop(thoughts);
    }
    Ok(counts)
}

/// What `longer` counts after what `shorter` does.
fn beyond(mut longer: Counts, shorter: &Counts) -> Counts {
    longer.launches.drain(..shorter.launches.len());
    let mut before = shorter.launches.len();
    longer.submissions.retain(|launches| {
        let after = before == 0;
        before = before.saturating_sub(*launches);
        after
    });
    let copies = [&mut longer.uploads, &mut longer.downloads, &mut longer.copies];
    for (copies, of) in copies.into_iter().zip([shorter.uploads, shorter.downloads, shorter.copies]) {
        copies.calls -= of.calls;
        copies.bytes -= of.bytes;
    }
    longer
}
