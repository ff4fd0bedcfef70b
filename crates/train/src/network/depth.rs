//! Recurrent depth as a body whose passes extend sequences: prelude, a fixed number of iterations from s_0 = 0, coda. Every
//! iteration keeps keys and values of its own, so that rows see of earlier ones what they were at the same iteration.

use fathom::{
    Tensor,
    ops::embedding::{Input, embedding_backward},
};
use fathom_model::config::HuginnConfig;

use super::{
    Cache,
    huginn::Huginn,
    sandwich::{self, Pass, back_through, through},
};
use crate::{
    error::Result,
    parameters::{Gradients, Parameters, Source},
    segment::Segment,
};

/// The network and how often its core goes over a row.
#[derive(Debug)]
pub(crate) struct Depth {
    network: Huginn,
    iterations: usize,
}

/// What the backward pass of one forward pass needs.
#[derive(Debug)]
pub(crate) struct Saved {
    pass: Pass,
    prelude: Vec<sandwich::Saved>,
    /// e.
    embedded: Tensor,
    /// Of each iteration the state that it began with, and its blocks.
    core: Vec<(Tensor, Vec<sandwich::Saved>)>,
    /// s behind the last iteration.
    state: Tensor,
    coda: Vec<sandwich::Saved>,
    /// Before the last norm.
    x: Tensor,
}

impl Depth {
    /// Without a language-model head of its own.
    pub(crate) fn new(
        config: &HuginnConfig,
        parameters: &mut Parameters,
        source: &mut dyn Source,
    ) -> Result<Self> {
        let headless = HuginnConfig { tied: true, ..config.clone() };
        Ok(Self { network: Huginn::new(&headless, parameters, source)?, iterations: config.iterations })
    }

    /// Takes the parameters as they are now.
    pub(crate) fn pack(&mut self, parameters: &Parameters) -> Result<()> {
        self.network.pack(parameters)
    }

    /// Width h.
    pub(crate) fn width(&self) -> usize {
        self.network.width()
    }

    /// Room for the keys and values of a batch: a cache a block of the prelude, of each iteration of the core, and of the coda.
    pub(crate) fn caches(&self, parameters: &Parameters, places: usize) -> Result<Vec<Cache>> {
        let Huginn { prelude, core, coda, .. } = &self.network;
        let blocks = prelude.len() + self.iterations * core.len() + coda.len();
        self.network.caches(parameters, blocks, places)
    }

    /// What a head reads at every row of a pass.
    pub(crate) fn forward(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        segment: &Segment,
        caches: &mut [Cache],
    ) -> Result<(Tensor, Saved)> {
        let network = &self.network;
        let (of_prelude, rest) = caches.split_at_mut(network.prelude.len());
        let (of_core, of_coda) = rest.split_at_mut(self.iterations * network.core.len());
        let pass = network.pass(parameters, segment.clone())?;
        let x = network.embed(inputs)?;
        let (embedded, prelude) = through(&network.prelude, parameters, x, &pass, of_prelude)?;
        let injected = network.inject(&embedded)?;
        let mut state = Tensor::zeros(parameters.device(), embedded.rows(), self.width())?;
        let mut core = Vec::with_capacity(self.iterations);
        for caches in of_core.chunks_mut(network.core.len()) {
            let x = network.adapt(&state, &injected)?;
            let (next, blocks) = through(&network.core, parameters, x, &pass, caches)?;
            core.push((std::mem::replace(&mut state, next), blocks));
        }
        let [mut normed, mut out] = [Tensor::empty(state.device()), Tensor::empty(state.device())];
        network.norm.forward(parameters, &state, &mut normed)?;
        let (x, coda) = through(&network.coda, parameters, normed, &pass, of_coda)?;
        network.norm.forward(parameters, &x, &mut out)?;
        Ok((out, Saved { pass, prelude, embedded, core, state, coda, x }))
    }

    /// Adds the gradients of all parameters from those of what the head read; tokens add theirs to the embedding's.
    pub(crate) fn backward(
        &self,
        parameters: &Parameters,
        inputs: &[Input<'_>],
        saved: &Saved,
        dout: &Tensor,
        caches: &mut [Cache],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (network, device, h) = (&self.network, parameters.device(), self.width());
        let (of_prelude, rest) = caches.split_at_mut(network.prelude.len());
        let (of_core, of_coda) = rest.split_at_mut(self.iterations * network.core.len());
        let Saved { pass, prelude, embedded, core, state, coda, x } = saved;
        let [mut dx, mut ds] = [Tensor::empty(device), Tensor::empty(device)];
        network.norm.backward(parameters, x, dout, gradients, &mut dx)?;
        back_through(&network.coda, parameters, pass, coda, of_coda, &mut dx, gradients)?;
        network.norm.backward(parameters, state, &dx, gradients, &mut ds)?;
        let mut dinjected = Tensor::zeros(device, embedded.rows(), h)?;
        let mut dhalf = Tensor::zeros(device, h, h)?;
        let iterations = core.iter().zip(of_core.chunks_mut(network.core.len()));
        for ((state, blocks), caches) in iterations.rev() {
            back_through(&network.core, parameters, pass, blocks, caches, &mut ds, gradients)?;
            network.adapt_backward(state, &mut ds, [&mut dinjected, &mut dhalf])?;
        }
        let mut de = network.inject_backward(embedded, &dinjected, &dhalf, gradients)?;
        back_through(&network.prelude, parameters, pass, prelude, of_prelude, &mut de, gradients)?;
        let token = |(row, input): (usize, &Input<'_>)| match *input {
            Input::Token(id) => Some((row, id)),
            _ => None,
        };
        let (rows, ids): (Vec<usize>, Vec<u32>) = inputs.iter().enumerate().filter_map(token).unzip();
        let mut of_tokens = Tensor::empty(device);
        de.select(&rows, &mut of_tokens)?;
        let table = &mut gradients[network.tokens];
        Ok(embedding_backward(&ids, &of_tokens, network.embed_scale, table)?)
    }
}
