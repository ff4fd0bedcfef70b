//! What annotation asks of a model beyond thinking.

use fathom::random::Draw;
use fathom_model::{
    Result,
    huginn::{Huginn, RecurrentThought},
    latent::{ChainThought, LatentChain},
    latents::Latent,
    perturbation::{Perturbation, Scope},
    reasoner::{Branch, Reasoner},
};

/// How rollouts go on behind a step.
pub(super) enum Resumed<T> {
    /// From what the trajectory left, each by a step of its own.
    Together(Branch<T>),
    /// From thoughts of the same latents, each behind a prompt of its own.
    Apart(Vec<T>),
}

/// A model whose thoughts are valued.
pub(super) trait Generator: Reasoner {
    /// What is kept of a thought for the rollouts behind its newest step.
    type Prefix;

    /// What closes a thought in a sequence of tokens.
    fn closes(&self) -> Option<u32>;

    /// The thought as it is now.
    fn prefix(&self, thought: &Self::Thought, perturbation: Perturbation) -> Result<Self::Prefix>;

    /// Rollouts behind `latents`, one a draw.
    fn resume(
        &self,
        prefix: Self::Prefix,
        prompt: &[u32],
        latents: &[Latent],
        draws: Vec<Draw>,
        perturbation: Perturbation,
    ) -> Result<Resumed<Self::Thought>>;

    /// Whether what follows step t of a trajectory of `len` steps, of at most `most`, is no matter of chance, so that its own
    /// end is the value.
    fn is_certain(perturbation: Perturbation, t: usize, len: usize, most: usize) -> bool;

    /// The answers of rollouts.
    fn answer(
        &self,
        thoughts: Vec<Self::Thought>,
        most: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>>;
}

impl Generator for LatentChain {
    /// None where rollouts begin with a prompt that is perturbed anew, so that nothing is shared.
    type Prefix = Option<ChainThought>;

    fn closes(&self) -> Option<u32> {
        Some(self.ids().latent_end)
    }

    fn prefix(&self, thought: &ChainThought, perturbation: Perturbation) -> Result<Option<ChainThought>> {
        if perturbation.reaches_prompt() { Ok(None) } else { thought.duplicate().map(Some) }
    }

    /// Noise touches latents alone (spec latenttts §9.18), dropout in the thought no answer.
    fn is_certain(perturbation: Perturbation, t: usize, len: usize, most: usize) -> bool {
        match perturbation {
            Perturbation::Noise { .. } => t == len,
            Perturbation::Dropout { scope: Scope::Latent, .. } => t == most,
            _ => false,
        }
    }

    fn resume(
        &self,
        prefix: Option<ChainThought>,
        prompt: &[u32],
        latents: &[Latent],
        draws: Vec<Draw>,
        perturbation: Perturbation,
    ) -> Result<Resumed<ChainThought>> {
        match prefix {
            Some(thought) => Ok(Resumed::Together(Branch { thought, draws })),
            None => self.recall(prompt, latents, &draws, perturbation).map(Resumed::Apart),
        }
    }

    /// In the published form dropout stays on while rollouts answer (spec latenttts §3.3.4), unlike in inference.
    fn answer(
        &self,
        thoughts: Vec<ChainThought>,
        most: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        match perturbation {
            Perturbation::Dropout { scope: Scope::Full, .. } => {
                self.answer_perturbed(thoughts, most, perturbation)
            }
            _ => self.read_out(thoughts, most, perturbation),
        }
    }
}

/// Whatever a perturbation touches, what came before a state stays as the trajectory left it, the prompt too.
impl Generator for Huginn {
    type Prefix = RecurrentThought;

    fn closes(&self) -> Option<u32> {
        None
    }

    fn prefix(&self, thought: &RecurrentThought, _: Perturbation) -> Result<RecurrentThought> {
        thought.duplicate()
    }

    /// Behind the last iteration nothing is drawn, and behind another s_0 nothing at all.
    fn is_certain(perturbation: Perturbation, t: usize, len: usize, _: usize) -> bool {
        t == len || perturbation == Perturbation::State
    }

    fn resume(
        &self,
        thought: RecurrentThought,
        _: &[u32],
        _: &[Latent],
        draws: Vec<Draw>,
        _: Perturbation,
    ) -> Result<Resumed<RecurrentThought>> {
        Ok(Resumed::Together(Branch { thought, draws }))
    }

    fn answer(
        &self,
        thoughts: Vec<RecurrentThought>,
        most: usize,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        self.read_out(thoughts, most, perturbation)
    }
}
