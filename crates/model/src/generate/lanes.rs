//! Token by token, at a fixed depth or until each token meets a criterion (spec huginn §3.2.1, §3.2.2).
//!
//! A batch is a number of lanes. In one pass through the core each lane stands at an iteration of its own: one may begin a token,
//! or a prompt, while its neighbour is deep in another; who has finished leaves its place to the next prompt at once. Under
//! [`Preset::Reference`] a batch goes in lock-step as the published code's does: all rows iterate until the last has exited, and
//! the next prompts wait for all.

use std::collections::VecDeque;

use fathom::{Tensor, kv::Sequence};

use super::{Cost, Decoding, Dice, Die, Emitted, Preset, Settings, carried, check, end, logits, sampling};
use crate::{
    error::{Error, Result},
    huginn::{ExitMonitor, Huginn, check_each},
    pass::{Disturbance, Run, last_rows},
    scratch::Scratch,
};

/// Prompts that are continued together.
#[derive(Debug)]
pub struct Lanes<'m> {
    model: &'m Huginn,
    settings: Settings,
    batch: usize,
    waiting: VecDeque<(usize, Vec<u32>)>,
    lanes: Vec<Lane>,
    emitted: VecDeque<Emitted>,
    scratch: Scratch,
    cost: Cost,
}

/// One prompt's continuation, at one iteration of its newest token.
#[derive(Debug)]
struct Lane {
    prompt: usize,
    dice: Dice,
    sequence: Sequence,
    /// Prompt and continuation.
    text: Vec<u32>,
    given: usize,
    /// Tokens from here on have not been through the prelude.
    embedded: usize,
    /// Rows of the run under way, with their state and W_e·e.
    count: usize,
    t: usize,
    state: Tensor,
    injected: Tensor,
    monitor: Option<ExitMonitor>,
    /// Logits of the last check.
    checked: Option<Tensor>,
    /// The first state of the next token, unless it is drawn.
    carry: Option<Tensor>,
    /// Logits of a token that exited while its batch goes on in lock-step, and its iterations.
    exited: Option<(Tensor, usize)>,
    ended: bool,
}

impl<'m> Lanes<'m> {
    /// Continues `prompts`, at most `batch` of them at a time.
    ///
    /// # Errors
    /// An empty prompt, one that fills the context, a token outside the vocabulary, impossible settings.
    pub fn new(model: &'m Huginn, prompts: Vec<Vec<u32>>, batch: usize, settings: Settings) -> Result<Self> {
        settings.check()?;
        check(model, &prompts)?;
        if batch == 0 {
            return Err(Error::Option { option: "batch".into(), what: "0 prompts at a time".into() });
        }
        let waiting = if settings.max_tokens == 0 {
            VecDeque::new()
        } else {
            prompts.into_iter().enumerate().collect()
        };
        let scratch = model.scratch();
        let (lanes, emitted, cost) = (Vec::new(), VecDeque::new(), Cost::default());
        Ok(Self { model, settings, batch, waiting, lanes, emitted, scratch, cost })
    }

    fn lock_step(&self) -> bool {
        self.settings.preset == Preset::Reference
    }

    /// One iteration of every lane, and what comes before and behind it.
    fn tick(&mut self) -> Result<()> {
        self.admit();
        self.embed()?;
        self.iterate()?;
        self.settle()
    }

    fn admit(&mut self) {
        if self.lock_step() && !self.lanes.is_empty() {
            return;
        }
        while self.lanes.len() < self.batch
            && let Some((prompt, text)) = self.waiting.pop_front()
        {
            let empty = || Tensor::empty(self.model.head().device());
            self.lanes.push(Lane {
                prompt,
                dice: Dice::new(self.settings.seed, &text),
                sequence: self.model.sequence(),
                given: text.len(),
                text,
                embedded: 0,
                count: 0,
                t: 0,
                state: empty(),
                injected: empty(),
                monitor: None,
                checked: None,
                carry: None,
                exited: None,
                ended: false,
            });
        }
    }

    /// Takes new tokens through the prelude, all lanes' together.
    fn embed(&mut self) -> Result<()> {
        let Self { model, settings, lanes, scratch, .. } = self;
        let mut fresh: Vec<&mut Lane> =
            lanes.iter_mut().filter(|lane| lane.embedded < lane.text.len()).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let ids: Vec<u32> = fresh.iter().flat_map(|lane| &lane.text[lane.embedded..]).copied().collect();
        let counts: Vec<usize> = fresh.iter().map(|lane| lane.text.len() - lane.embedded).collect();
        let runs = fresh.iter_mut().zip(&counts).map(|(lane, &count)| Run::admit(&mut lane.sequence, count));
        let mut runs: Vec<Run<'_>> = runs.collect();
        let injected = model.inject(&model.prelude(&ids, &mut runs, scratch)?)?;
        let mut first = 0;
        for (lane, count) in fresh.into_iter().zip(counts) {
            injected.select(&(first..first + count).collect::<Vec<_>>(), &mut lane.injected)?;
            lane.state = match lane.carry.take() {
                Some(state) => state,
                None => lane.dice.states(model, lane.embedded, count, 0, settings)?,
            };
            lane.monitor = settings
                .exit
                .filter(|rule| rule.in_prompt || lane.embedded > 0)
                .map(|rule| ExitMonitor::new(rule.criterion, rule.threshold, lane.state.clone()));
            (lane.embedded, lane.count, lane.t, lane.checked) = (lane.text.len(), count, 0, None);
            first += count;
        }
        Ok(())
    }

    fn iterate(&mut self) -> Result<()> {
        let Self { model, settings, lanes, scratch, cost, .. } = self;
        let mut going: Vec<&mut Lane> = lanes.iter_mut().filter(|lane| lane.t < settings.steps).collect();
        if going.is_empty() {
            return Ok(());
        }
        let (mut state, injected) =
            (gathered(&going, |lane| &lane.state)?, gathered(&going, |lane| &lane.injected)?);
        let ts: Vec<usize> = going.iter().map(|lane| lane.t).collect();
        let mut runs = revisited(&mut going)?;
        let none = Disturbance::None;
        model.iterate_each(&mut state, &injected, &mut runs, &ts, settings.policy(), &none, scratch)?;
        cost.core_passes += 1;
        cost.core_rows += state.rows();
        let mut first = 0;
        for lane in going {
            state.select(&(first..first + lane.count).collect::<Vec<_>>(), &mut lane.state)?;
            lane.t += 1;
            first += lane.count;
        }
        Ok(())
    }

    /// Checks who exits, and chooses the tokens of those who have.
    fn settle(&mut self) -> Result<()> {
        let (rule, steps) = (self.settings.exit, self.settings.steps);
        let by_logits = rule.is_some_and(|rule| rule.criterion.needs_logits());
        let stale = self.lock_step() && by_logits;
        let is_due = |lane: &Lane| {
            let due = lane.t > 0 && rule.is_some_and(|rule| rule.due(lane.t - 1));
            due && lane.exited.is_none() && lane.monitor.is_some()
        };
        let due: Vec<bool> = self.lanes.iter().map(is_due).collect();
        // The published code takes the logits of the last check at the cap (spec huginn §9.19).
        let capped = |(lane, due): (&Lane, &bool)| {
            lane.t == steps && lane.exited.is_none() && !(stale && !due && lane.checked.is_some())
        };
        let mut wanted: Vec<bool> = self.lanes.iter().zip(&due).map(capped).collect();
        let mut exits = vec![false; self.lanes.len()];
        if by_logits {
            wanted.iter_mut().zip(&due).for_each(|(wanted, due)| *wanted |= due);
            self.read_out(&wanted)?;
            self.check(&due, &mut exits)?;
        } else {
            self.check(&due, &mut exits)?;
            wanted.iter_mut().zip(&exits).for_each(|(wanted, exit)| *wanted |= exit);
            self.read_out(&wanted)?;
        }
        for (lane, exit) in self.lanes.iter_mut().zip(exits) {
            if lane.exited.is_none() && (exit || lane.t == steps) {
                lane.exited = lane.checked.take().map(|logits| (logits, lane.t));
            }
        }
        if !self.lock_step() || self.lanes.iter().all(|lane| lane.exited.is_some()) {
            self.choose()?;
        }
        Ok(())
    }

    /// Sets who of those that are due exits, all compared together.
    fn check(&mut self, due: &[bool], exits: &mut [bool]) -> Result<()> {
        let by_logits = self.settings.exit.is_some_and(|rule| rule.criterion.needs_logits());
        let (mut places, mut checks) = (Vec::new(), Vec::new());
        for ((index, lane), _) in self.lanes.iter_mut().enumerate().zip(due).filter(|(_, due)| **due) {
            if let Some(monitor) = &mut lane.monitor {
                let newest = lane.checked.as_ref().filter(|_| by_logits).unwrap_or(&lane.state);
                places.push(index);
                checks.push((monitor, newest));
            }
        }
        for (index, found) in places.into_iter().zip(check_each(&mut checks)?) {
            exits[index] = found.exit;
        }
        Ok(())
    }

    /// Sets the logits of the last row of the lanes that are wanted, by a coda over all of their rows.
    fn read_out(&mut self, wanted: &[bool]) -> Result<()> {
        let Self { model, lanes, scratch, cost, .. } = self;
        let chosen = lanes.iter_mut().zip(wanted).filter(|(_, wanted)| **wanted);
        let mut chosen: Vec<&mut Lane> = chosen.map(|(lane, _)| lane).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let state = gathered(&chosen, |lane| &lane.state)?;
        let mut runs = revisited(&mut chosen)?;
        let mut last = Tensor::empty(state.device());
        model.coda(&state, &mut runs, scratch)?.select(&last_rows(&runs), &mut last)?;
        cost.coda_passes += 1;
        let all = logits(model, &last)?;
        for (row, lane) in chosen.into_iter().enumerate() {
            all.select(&[row], lane.checked.insert(Tensor::empty(all.device())))?;
        }
        Ok(())
    }

    fn choose(&mut self) -> Result<()> {
        let Self { model, settings, lanes, emitted, .. } = self;
        let exited: Vec<(&Tensor, usize)> =
            lanes.iter().filter_map(|lane| lane.exited.as_ref()).map(|(logits, _)| (logits, 0)).collect();
        let mut all = Tensor::empty(model.head().device());
        all.gather(&exited)?;
        let mut found = all.to_rows()?.into_iter();
        for lane in lanes.iter_mut() {
            let Some((_, steps)) = lane.exited.take() else { continue };
            let Some(mut logits) = found.next() else { continue };
            settings.sampling.penalise(&mut logits, &lane.text);
            let probabilities = settings.sampling.probabilities(&logits, settings.preset);
            let position = lane.text.len();
            let token = sampling::choose(&probabilities, lane.dice.uniform(position, Die::Token));
            lane.text.push(token);
            lane.carry = carried(model, settings.carry, &lane.state)?;
            let end = end(model, settings, token, lane.text.len() - lane.given, lane.sequence.len());
            if !lane.ended {
                emitted.push_back(Emitted { prompt: lane.prompt, token, steps, end });
            }
            lane.ended |= end.is_some();
        }
        self.leave();
        Ok(())
    }

    /// Lets go of who has ended; in lock-step when all have, or where the context ends.
    fn leave(&mut self) {
        let all = self.lanes.iter().all(|lane| lane.ended);
        let (lock_step, context) = (self.lock_step(), self.model.context());
        self.lanes.retain(|lane| !lane.ended || (lock_step && !all && lane.sequence.len() < context));
    }
}

/// Rows of all lanes, one behind the other.
fn gathered(lanes: &[&mut Lane], of: impl Fn(&Lane) -> &Tensor) -> Result<Tensor> {
    let rows: Vec<(&Tensor, usize)> =
        lanes.iter().flat_map(|lane| (0..lane.count).map(|row| (of(lane), row))).collect();
    let mut all = Tensor::empty(rows[0].0.device());
    all.gather(&rows)?;
    Ok(all)
}

fn revisited<'a>(lanes: &'a mut [&mut Lane]) -> Result<Vec<Run<'a>>> {
    let runs = lanes.iter_mut().map(|lane| Run::revisit(&mut lane.sequence, lane.count));
    Ok(runs.collect::<fathom::Result<_>>()?)
}

impl Iterator for Lanes<'_> {
    type Item = Result<Emitted>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(emitted) = self.emitted.pop_front() {
                return Some(Ok(emitted));
            }
            if self.lanes.is_empty() && self.waiting.is_empty() {
                return None;
            }
            if let Err(error) = self.tick() {
                self.lanes.clear();
                self.waiting.clear();
                return Some(Err(error));
            }
        }
    }
}

impl Decoding for Lanes<'_> {
    fn cost(&self) -> Cost {
        self.cost
    }

    fn stop(&mut self, prompt: usize) {
        self.waiting.retain(|(index, _)| *index != prompt);
        self.emitted.retain(|emitted| emitted.prompt != prompt);
        self.lanes.iter_mut().filter(|lane| lane.prompt == prompt).for_each(|lane| lane.ended = true);
        self.leave();
    }
}
