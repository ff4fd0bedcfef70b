//! Recurrent depth as the body of a reward model: a state of every row after a fixed number of iterations from s_0 = 0.

use fathom::{
    Result as OpResult, Tensor,
    kv::{Layout, Sequence},
    ops::embedding::Input,
};

use super::{CachePolicy, Huginn};
use crate::{
    pass::{Disturbance, Run, Wanted, check},
    scratch::Scratch,
};

impl Huginn {
    /// What a head reads at every row, `[rows, h]`: prelude, `iterations` of the core from s_0 = 0, coda. Tokens enter by their
    /// scaled embeddings, rows of tensors as they are.
    ///
    /// # Errors
    /// A token outside the vocabulary, a row of another width; inputs that are not as many as positions.
    pub(crate) fn rows(
        &self,
        inputs: &[Input<'_>],
        runs: &mut [Run<'_>],
        iterations: usize,
        scratch: &mut Scratch,
    ) -> OpResult<Tensor> {
        check(inputs.len(), runs, &Disturbance::None, Wanted::All)?;
        let embedded = self.embed(inputs, runs, scratch)?;
        let injected = self.inject(&embedded)?;
        let mut state = Tensor::zeros(embedded.device(), embedded.rows(), embedded.width())?;
        for t in 0..iterations {
            let (policy, none) = (CachePolicy::Full, Disturbance::None);
            self.iterate(&mut state, &injected, runs, t, policy, &none, scratch)?;
        }
        self.coda(&state, runs, scratch)
    }

    /// An empty sequence whose positions are iterated so often.
    pub(crate) fn sequence_of(&self, iterations: usize) -> Sequence {
        let slots = self.prelude.len() + self.coda.len() + iterations * self.core.len();
        Sequence::new(self.head().device(), Layout { slots, ..self.layout() })
    }
}
