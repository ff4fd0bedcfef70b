//! What a question costs a model of recurrent depth, counted in core passes.

use std::ops::Add;

use fathom_model::perturbation::Perturbation;

/// Core passes: an iteration of the core block over one row each, whatever else the row goes through. Rows that a GPU decodes
/// beyond the end of an answer are left out, as they depend on what is decoded together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CorePasses {
    /// Of the positions before the thinking one, in every prompt that is computed.
    pub prompt: usize,
    /// Of the thinking position: the steps of all thoughts.
    pub thought: usize,
    /// Of the tokens of answers that are fed back.
    pub answer: usize,
    /// Of the reward model's core, over its prompt and all states that it scores.
    pub reward: usize,
}

impl CorePasses {
    /// All of them.
    pub fn total(self) -> usize {
        self.prompt + self.thought + self.answer + self.reward
    }
}

impl Add for CorePasses {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            prompt: self.prompt + other.prompt,
            thought: self.thought + other.thought,
            answer: self.answer + other.answer,
            reward: self.reward + other.reward,
        }
    }
}

/// Thoughts of one question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thoughts {
    /// Tokens of the prompt, of which the last thinks.
    pub(crate) prompt: usize,
    /// How many there are.
    pub(crate) count: usize,
    /// r.
    pub(crate) steps: usize,
}

impl Thoughts {
    /// Prompt and thoughts: earlier positions once, or once a thought where the perturbation reaches them.
    pub(crate) fn cost(self, perturbation: Perturbation) -> CorePasses {
        let Self { prompt, count, steps } = self;
        let prompts = if perturbation.reaches_earlier_positions() { count } else { 1 };
        let before = prompt.saturating_sub(1) * prompts;
        CorePasses { prompt: before * steps, thought: count * steps, ..CorePasses::default() }
    }

    /// Answers of these lengths, of at most `most` tokens each: the first token comes from the thought itself, each further one
    /// and the end of an answer from a token that is fed.
    pub(crate) fn answers(self, lengths: impl Iterator<Item = usize>, most: usize) -> CorePasses {
        let fed = lengths.map(|length| length.min(most.saturating_sub(1))).sum::<usize>();
        CorePasses { answer: fed * self.steps, ..CorePasses::default() }
    }

    /// The scores of all states by a reward model of so many iterations.
    pub(crate) fn scores(self, iterations: usize) -> CorePasses {
        let rows = self.prompt + self.count * self.steps;
        CorePasses { reward: rows * iterations, ..CorePasses::default() }
    }
}

#[cfg(test)]
mod tests {
    use fathom_model::perturbation::Scope;

    use super::*;

    #[test]
    fn passes_are_rows_times_iterations() {
        let thoughts = Thoughts { prompt: 6, count: 4, steps: 3 };
        let once = thoughts.cost(Perturbation::State);
        assert_eq!(once, CorePasses { prompt: 15, thought: 12, ..CorePasses::default() });
        let noise = |std, scope| thoughts.cost(Perturbation::Noise { std, scope });
        assert_eq!(noise(0.5, Scope::Latent), once);
        assert_eq!(noise(0.0, Scope::Full), once, "nothing differs");
        assert_eq!(noise(0.5, Scope::Full).prompt, 60, "a prompt each");
        // Of at most four tokens: one alone and its end, three and their end, four without one.
        assert_eq!(thoughts.answers([1, 3, 4].into_iter(), 4).answer, 3 * (1 + 3 + 3));
        assert_eq!(thoughts.answers([0, 0].into_iter(), 4).answer, 0, "ends at once");
        assert_eq!(thoughts.scores(2).reward, 2 * (6 + 12));
        assert_eq!((once + thoughts.scores(2)).total(), 27 + 36);
    }
}
