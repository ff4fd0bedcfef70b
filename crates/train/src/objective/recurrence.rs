//! Recurrent depth (spec huginn §4.1–4.3): cross-entropy after n iterations without a gradient and k with one.

use fathom::{Device, Tensor};
use fathom_model::{checkpoint::Checkpoint, config::HuginnConfig};

use super::dynamics::Sums;
use crate::{
    error::{Error, Result},
    network::{
        head,
        huginn::{self, Huginn},
        sandwich::Pass,
    },
    parameters::{Gradients, Parameters, Source},
    segment::Batch,
};

/// Iterations of a pass: those that gradients do not reach, and those that they go back through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iterations {
    /// n.
    pub without: usize,
    /// k.
    pub with: usize,
}

/// Sequences of tokens, what each position is to predict, and their first states.
#[derive(Debug)]
pub struct Examples<'a> {
    /// Tokens of each sequence.
    pub tokens: &'a [&'a [u32]],
    /// Of each position in turn the next token; none where it does not count.
    pub targets: &'a [Option<u32>],
    /// s_0 of each position in turn, `[positions, h]`.
    pub initial: Tensor,
}

/// A pass up to its first iteration.
struct Begun {
    ids: Vec<u32>,
    /// Targets that count.
    counted: usize,
    pass: Pass,
    /// e, and W_e·e.
    embedded: Tensor,
    prelude: huginn::Saved,
    injected: Tensor,
}

/// A recurrent-depth network that learns.
#[derive(Debug)]
pub struct RecurrentDepth {
    parameters: Parameters,
    network: Huginn,
}

impl RecurrentDepth {
    /// One whose parameters begin as `source` says.
    ///
    /// # Errors
    /// Tensors that are missing or of other shapes; no memory on the device.
    pub fn new(config: &HuginnConfig, source: &mut dyn Source, device: &Device) -> Result<Self> {
        let mut parameters = Parameters::new(device);
        let network = Huginn::new(config, &mut parameters, source)?;
        Ok(Self { parameters, network })
    }

    /// That of a checkpoint.
    ///
    /// # Errors
    /// As [`RecurrentDepth::new`].
    pub fn load(config: &HuginnConfig, checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        Self::new(config, &mut &*checkpoint, device)
    }

    /// What it has learnt.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Changes the parameters.
    ///
    /// # Errors
    /// Those of `change`; a device that does not work.
    pub fn update(&mut self, change: impl FnOnce(&mut Parameters) -> Result<()>) -> Result<()> {
        change(&mut self.parameters)?;
        self.network.pack(&self.parameters)
    }

    /// The mean of −log p over the targets after `iterations`; its gradients are added, memory does not grow with their number
    /// beyond a state for each of k.
    ///
    /// # Errors
    /// Sequences, targets and states of different numbers; a token outside the vocabulary; gradients of no iteration.
    pub fn loss(
        &self,
        examples: Examples<'_>,
        iterations: Iterations,
        gradients: Option<&mut Gradients>,
    ) -> Result<f64> {
        let Self { parameters, network } = self;
        if gradients.is_some() && iterations.with == 0 {
            return Err(Error::Option { option: "examples", what: format!("gradients of {iterations:?}") });
        }
        let Begun { ids, counted, pass, embedded, prelude, injected } = self.begin(&examples)?;
        let Examples { targets, initial: mut state, .. } = examples;
        for _ in 0..iterations.without {
            state = network.advance(parameters, &state, &injected, &pass)?;
        }
        let (mut states, mut last) = (Vec::with_capacity(iterations.with), None);
        for iteration in 1..=iterations.with {
            let next = if iteration == iterations.with && gradients.is_some() {
                let (next, saved) = network.iterate(parameters, &state, &injected, &pass)?;
                last = Some(saved);
                next
            } else {
                network.advance(parameters, &state, &injected, &pass)?
            };
            states.push(std::mem::replace(&mut state, next));
        }
        let (hidden, coda) = network.coda(parameters, state, &pass)?;
        let scale = 1.0 / counted as f32;
        let Some(gradients) = gradients else {
            return Ok(head::loss(network.head(), &hidden, targets, scale, None)? / counted as f64);
        };
        let mut dhidden = Tensor::empty(parameters.device());
        let into = Some((&mut *gradients, &mut dhidden));
        let loss = head::loss(network.head(), &hidden, targets, scale, into)? / counted as f64;
        let mut ds = network.coda_backward(parameters, &pass, coda, &dhidden, gradients)?;
        let de = self.back_through(&states, last, [&embedded, &injected], &pass, &mut ds, gradients)?;
        network.prelude_backward(parameters, &ids, &pass, prelude, de, gradients)?;
        Ok(loss)
    }

    /// The mean of −log p over the targets after `steps` iterations, at least one; what the last of them does to the states is
    /// added to `sums`.
    pub(crate) fn observe(&self, examples: Examples<'_>, steps: usize, sums: &mut Sums) -> Result<f64> {
        let Self { parameters, network } = self;
        let Begun { counted, pass, injected, .. } = self.begin(&examples)?;
        let Examples { tokens, targets, initial } = examples;
        let [mut before, mut state] = [Tensor::empty(parameters.device()), initial];
        for _ in 0..steps {
            let next = network.advance(parameters, &state, &injected, &pass)?;
            before = std::mem::replace(&mut state, next);
        }
        sums.add([&before, &state], tokens.iter().map(|tokens| tokens.len()))?;
        let (hidden, _) = network.coda(parameters, state, &pass)?;
        Ok(head::loss(network.head(), &hidden, targets, 1.0, None)? / counted as f64)
    }

    /// What comes before the first iteration.
    fn begin(&self, examples: &Examples<'_>) -> Result<Begun> {
        let Self { parameters, network } = self;
        let ids = examples.tokens.concat();
        let counted = examples.targets.iter().flatten().count();
        if ids.len() != examples.targets.len() || counted == 0 {
            let targets = examples.targets.len();
            let what = format!("{} tokens, {targets} targets of which {counted} count", ids.len());
            return Err(Error::Option { option: "examples", what });
        }
        let lengths = || examples.tokens.iter().map(|tokens| tokens.len());
        let pass = network.pass(parameters, Batch::new(lengths()).next(lengths()))?;
        let (embedded, prelude) = network.prelude(parameters, &ids, &pass)?;
        let injected = network.inject(&embedded)?;
        Ok(Begun { ids, counted, pass, embedded, prelude, injected })
    }

    /// Back through the iterations that began with `states`, of which all but the last are computed again; the gradient of e.
    fn back_through(
        &self,
        states: &[Tensor],
        mut last: Option<huginn::Saved>,
        [embedded, injected]: [&Tensor; 2],
        pass: &Pass,
        ds: &mut Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let Self { parameters, network } = self;
        let (device, h) = (parameters.device(), network.width());
        let mut dinjected = Tensor::zeros(device, injected.rows(), h)?;
        let mut dhalf = Tensor::zeros(device, h, h)?;
        for state in states.iter().rev() {
            let into = [&mut dinjected, &mut dhalf];
            let saved = match last.take() {
                Some(saved) => saved,
                None => network.iterate(parameters, state, injected, pass)?.1,
            };
            network.iterate_backward(parameters, state, saved, pass, ds, into, gradients)?;
        }
        network.inject_backward(embedded, &dinjected, &dhalf, gradients)
    }
}
