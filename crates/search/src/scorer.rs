//! What ranks thoughts while they are thought.

use fathom::kv::Sequence;
use fathom_model::{Result, latent_rm::LatentRm, latents::Latent};

/// Scores thoughts step by step; a state follows one trajectory.
pub trait Scorer: Sync {
    /// What is remembered of a trajectory.
    type State: Send;

    /// `count` states behind one prompt, which is computed once.
    ///
    /// # Errors
    /// A prompt that does not fit.
    fn begin(&self, prompt: &[u32], count: usize) -> Result<Vec<Self::State>>;

    /// `count` states that continue this one.
    fn fork(&self, state: Self::State, count: usize) -> Vec<Self::State>;

    /// Scores of the further latents of each trajectory.
    ///
    /// # Errors
    /// Latents of another width; a trajectory that outgrows the context.
    fn score(&self, states: &mut [&mut Self::State], latents: &[&[Latent]]) -> Result<Vec<Vec<f32>>>;
}

impl Scorer for LatentRm {
    type State = Sequence;

    fn begin(&self, prompt: &[u32], count: usize) -> Result<Vec<Sequence>> {
        LatentRm::begin(self, prompt, count)
    }

    fn fork(&self, state: Sequence, count: usize) -> Vec<Sequence> {
        state.fork(count)
    }

    fn score(&self, states: &mut [&mut Sequence], latents: &[&[Latent]]) -> Result<Vec<Vec<f32>>> {
        LatentRm::score(self, states, latents)
    }
}

/// S_n, the sum of the scores of the steps of finished thoughts (spec latenttts §3.6).
///
/// # Errors
/// As [`Scorer::score`].
pub fn trajectory_scores<S: Scorer>(scorer: &S, prompt: &[u32], latents: &[&[Latent]]) -> Result<Vec<f32>> {
    let mut states = scorer.begin(prompt, latents.len())?;
    let scores = scorer.score(&mut states.iter_mut().collect::<Vec<_>>(), latents)?;
    Ok(scores.iter().map(|steps| steps.iter().sum()).collect())
}
