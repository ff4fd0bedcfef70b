//! Recurrent depth: packed forwards, cached decoding, exit criteria.

use std::ops::Range;

use fathom::{
    Tensor,
    ops::linear::{Epilogue, linear},
};

use super::{Reference, Tolerance};
use crate::{
    error::Result,
    huginn::{CachePolicy, Criterion, ExitMonitor, Huginn},
    pass::{Disturbance, Run},
};

pub(super) fn compare(network: &Huginn, reference: &mut Reference) -> Result<()> {
    let case = Case::read(network, reference)?;
    case.packed(reference)?;
    case.decoded(reference)?;
    case.exits(reference)
}

/// Iterations that a name may ask for: a typing error must not cost hours. A name beyond is not known.
const MOST_STEPS: usize = 4096;

/// A number of iterations as a name spells it.
fn steps(text: &str) -> Option<usize> {
    text.parse().ok().filter(|&steps| steps <= MOST_STEPS)
}

struct Case<'a> {
    network: &'a Huginn,
    length: usize,
    /// `[batch][length]`
    tokens: Vec<u32>,
    /// `[batch · length, h]`
    initial: Tensor,
}

impl<'a> Case<'a> {
    fn read(network: &'a Huginn, reference: &Reference) -> Result<Self> {
        let [batch, length] = reference.shape("input_ids")?;
        let [rows, columns, width] = reference.shape("s0")?;
        if (rows, columns, width) != (batch, length, network.width()) || length == 0 || batch == 0 {
            return Err(reference.malformed(format!("s0 is [{rows}, {columns}, {width}]")));
        }
        let device = network.head().device();
        let initial = Tensor::new(device, batch * length, width, reference.floats("s0")?)?;
        Ok(Self { network, length, tokens: reference.ids("input_ids")?, initial })
    }

    /// The initial states of some rows.
    fn initial(&self, rows: Range<usize>) -> Result<Tensor> {
        let mut state = Tensor::empty(self.initial.device());
        self.initial.select(&rows.collect::<Vec<_>>(), &mut state)?;
        Ok(state)
    }

    /// Of the last row alone.
    fn last_logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let mut last = Tensor::empty(hidden.device());
        hidden.select(&[hidden.rows() - 1], &mut last)?;
        self.logits(&last)
    }

    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let mut logits = Tensor::empty(hidden.device());
        linear(hidden, self.network.head(), None, Epilogue::None, &mut logits)?;
        Ok(logits)
    }

    /// Whole sequences at once, for every r that is recorded.
    fn packed(&self, reference: &mut Reference) -> Result<()> {
        let wanted = |prefix: &'static str| {
            let names = reference.names(prefix);
            names.into_iter().filter_map(move |name| Some((steps(&name[prefix.len()..])?, name)))
        };
        let parts = ["logits_r", "latent_states_r", "head_r", "state_after_step"];
        let names: Vec<(usize, String)> = parts.into_iter().flat_map(wanted).collect();
        let deepest = names.iter().map(|(r, _)| *r).max().unwrap_or(0);
        let mut sequences: Vec<_> =
            self.tokens.chunks(self.length).map(|_| self.network.sequence()).collect();
        let mut runs: Vec<Run<'_>> = sequences.iter_mut().map(|s| Run::admit(s, self.length)).collect();
        let embedded = self.network.prelude(&self.tokens, &mut runs, &mut self.network.scratch())?;
        if reference.has("embedded") {
            reference.check("embedded", &embedded.to_vec()?, Tolerance::Values)?;
        }
        let mut scratch = self.network.scratch();
        let injected = self.network.inject(&embedded)?;
        let mut state = self.initial.clone();
        for r in 0..=deepest {
            if r > 0 {
                let (none, policy) = (Disturbance::None, CachePolicy::Full);
                self.network.iterate(&mut state, &injected, &mut runs, r - 1, policy, &none, &mut scratch)?;
            }
            for (_, name) in names.iter().filter(|(at, _)| *at == r) {
                let computed = if name.starts_with("state_after_step") {
                    state.clone()
                } else if name.starts_with("latent_states_r") {
                    self.network.latent_states(&state)?
                } else {
                    let hidden = self.network.coda(&state, &mut runs, &mut scratch)?;
                    if name.starts_with("head_r") { hidden } else { self.logits(&hidden)? }
                };
                reference.check(name, &computed.to_vec()?, Tolerance::Values)?;
            }
        }
        Ok(())
    }

    /// Row 0 through a cache: a prefill, then a token a call.
    fn decoded(&self, reference: &mut Reference) -> Result<()> {
        let names: Vec<String> = ["cached_decode_logits_r", "latest_m4_logits_", "shared_cache_compress_s"]
            .into_iter()
            .flat_map(|prefix| reference.names(prefix))
            .collect();
        for name in names {
            let Some((policy, depth)) = schedule(&name, self.network.core_blocks()) else { continue };
            let [_, calls, _] = reference.shape(&name)?;
            if calls == 0 || calls > self.length {
                return Err(reference
                    .malformed(format!("tensor {name:?} has {calls} calls for {} tokens", self.length)));
            }
            let prefill = self.length + 1 - calls;
            let mut sequence = self.network.sequence();
            let mut logits = Vec::new();
            for call in 0..calls {
                let rows = if call == 0 { 0..prefill } else { prefill + call - 1..prefill + call };
                let steps = depth(if call == 0 { None } else { Some(rows.start) });
                let mut runs = [Run::admit(&mut sequence, rows.len())];
                let mut scratch = self.network.scratch();
                let embedded = self.network.prelude(&self.tokens[rows.clone()], &mut runs, &mut scratch)?;
                let injected = self.network.inject(&embedded)?;
                let mut state = self.initial(rows)?;
                for t in 0..steps {
                    let none = Disturbance::None;
                    self.network.iterate(&mut state, &injected, &mut runs, t, policy, &none, &mut scratch)?;
                }
                let hidden = self.network.coda(&state, &mut runs, &mut scratch)?;
                logits.extend(self.last_logits(&hidden)?.into_data()?);
            }
            reference.check(&name, &logits, Tolerance::Values)?;
        }
        Ok(())
    }

    /// Row 0, the whole sequence at each iteration.
    fn exits(&self, reference: &mut Reference) -> Result<()> {
        for criterion in Criterion::ALL {
            let name = format!("exit_{}", criterion.name());
            if !reference.has(&name) {
                continue;
            }
            let [steps] = reference.shape(&name)?;
            let mut state = self.initial(0..self.length)?;
            let mut monitor = ExitMonitor::new(criterion, criterion.default_threshold(), state.clone());
            let mut sequence = self.network.sequence();
            let mut runs = [Run::admit(&mut sequence, self.length)];
            let mut scratch = self.network.scratch();
            let embedded = self.network.prelude(&self.tokens[..self.length], &mut runs, &mut scratch)?;
            let injected = self.network.inject(&embedded)?;
            let mut values = Vec::with_capacity(steps);
            for t in 0..steps {
                let (none, policy) = (Disturbance::None, CachePolicy::Full);
                self.network.iterate(&mut state, &injected, &mut runs, t, policy, &none, &mut scratch)?;
                let logits = if criterion.needs_logits() {
                    let hidden = self.network.coda(&state, &mut runs, &mut scratch)?;
                    self.last_logits(&hidden)?
                } else {
                    Tensor::empty(state.device())
                };
                values.push(monitor.check(&state, &logits)?.value);
            }
            let exact = criterion == Criterion::ArgmaxStability;
            reference.check(&name, &values, if exact { Tolerance::Exact } else { Tolerance::Exits })?;
        }
        Ok(())
    }
}

/// Iterations of a call: of the prefill (`None`) or of the token at a position.
type Depth = Box<dyn Fn(Option<usize>) -> usize>;

/// Cache policy and depths that a tensor's name spells out.
fn schedule(name: &str, core_blocks: usize) -> Option<(CachePolicy, Depth)> {
    if let Some(r) = name.strip_prefix("cached_decode_logits_r") {
        let r = steps(r)?;
        return Some((CachePolicy::Full, Box::new(move |_| r)));
    }
    if let Some(rest) = name.strip_prefix("shared_cache_compress_s") {
        let (slots, r) = rest.split_once("_logits_r")?;
        let policy = CachePolicy::from_name(&format!("latest-m4-compress-s{slots}"), core_blocks).ok()?;
        let r = steps(r)?;
        return Some((policy, Box::new(move |_| r)));
    }
    let rest = name.strip_prefix("latest_m4_logits_prefill")?;
    let (prefill, rest) = rest.split_once("_then_")?;
    let (base, modulus) = rest.split_once("plus_tmod")?;
    let (prefill, base, modulus): (usize, usize, usize) = (steps(prefill)?, steps(base)?, steps(modulus)?);
    if modulus == 0 {
        return None;
    }
    Some((CachePolicy::LatestM4, Box::new(move |at| at.map_or(prefill, |t| base + t % modulus))))
}
