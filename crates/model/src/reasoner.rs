//! One abstraction for thought: prefill a prompt, step the thought of any set of rows, read out an answer.
//!
//! A latent chain-of-thought pass and a core iteration of recurrent depth are both one step on a latent. What
//! searches over thoughts (samplers, reward-guided beams) is written against this trait alone.

use fathom::random::Draw;

use crate::{error::Result, latents::Latent, perturbation::Perturbation};

/// Thoughts that continue one thought.
#[derive(Debug)]
pub struct Branch<T> {
    /// The thought so far.
    pub thought: T,
    /// Whose randomness each continuation uses: as many continuations as draws.
    pub draws: Vec<Draw>,
}

/// A model that thinks in latents.
///
/// Every result is a pure function of the weights, the prompt, the perturbation, the seed and the draw: rows of one
/// call do not touch each other.
pub trait Reasoner: Sync {
    /// One trajectory's state.
    type Thought: Thought + Send;

    /// Steps that [`Reasoner::prefill`] has already taken: 1 where the prompt's last state is the first thought.
    fn prefilled_steps(&self) -> usize;

    /// One thought a draw, from one prompt. What the perturbation leaves deterministic is computed once.
    ///
    /// # Errors
    /// An empty prompt, one that leaves no room for `steps` and an answer, an id outside the vocabulary, a number of
    /// steps the model cannot take.
    fn prefill(
        &self,
        prompt: &[u32],
        steps: usize,
        draws: &[Draw],
        seed: u64,
        perturbation: Perturbation,
    ) -> Result<Vec<Self::Thought>>;

    /// The next step of each branch, a thought a draw; a thought that has ended is returned as it is, once.
    ///
    /// # Errors
    /// A thought that outgrows the context.
    fn step(
        &self,
        branches: Vec<Branch<Self::Thought>>,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<Self::Thought>>>;

    /// The greedy answer of each thought, its end-of-sequence token left out, at most `max_tokens` tokens and no
    /// further than the context reaches.
    ///
    /// # Errors
    /// A thought that fills the context.
    fn read_out(
        &self,
        thoughts: Vec<Self::Thought>,
        max_tokens: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>>;
}

/// What every thought can tell.
pub trait Thought {
    /// The latents so far, the newest last.
    fn latents(&self) -> &[Latent];

    /// Whether the model closed the thought by itself.
    fn ended(&self) -> bool;
}
