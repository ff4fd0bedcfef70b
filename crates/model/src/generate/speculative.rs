//! A few tokens drafted at few iterations, then verified together at all of them (spec huginn §3.2.3).
//!
//! What a draft has computed is what the verification would compute first: with a cache that keeps every iteration apart, the
//! drafted rows go on from where they stand. Drafts are verified as by rejection sampling (Leviathan, Kalman, Matias 2023,
//! arXiv 2211.17192), so that with such a cache tokens are distributed as without drafts and greedy ones are the same; where
//! iterations share slots a text depends on which tokens go through the network together (spec huginn §3.1). Every sequence accepts
//! as many as fit it; the verified row behind the last accepted one gives a further token.

use std::collections::VecDeque;

use fathom::{Tensor, kv::Sequence};

use super::{Carry, Cost, Decoding, Dice, Die, Emitted, Preset, Settings, check, end, logits, sampling};
use crate::{
    error::{Error, Result},
    huginn::Huginn,
    pass::{Disturbance, Run, last_rows},
    scratch::Scratch,
};

/// How drafts are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draft {
    /// Iterations of a drafted token.
    pub steps: usize,
    /// Tokens that are drafted before they are verified.
    pub lookahead: usize,
    /// Accepts a draft that is at least this share as likely as the likeliest token, if below 1; then tokens are no longer
    /// distributed as without drafts.
    pub threshold: f32,
}

/// Prompts that are continued together, in rounds of drafts and a verification.
#[derive(Debug)]
pub struct Speculative<'m> {
    model: &'m Huginn,
    settings: Settings,
    draft: Draft,
    batch: usize,
    waiting: VecDeque<(usize, Vec<u32>)>,
    lanes: Vec<Lane>,
    emitted: VecDeque<Emitted>,
    scratch: Scratch,
    cost: Cost,
    drafted: usize,
    accepted: usize,
}

/// One prompt's continuation.
#[derive(Debug)]
struct Lane {
    prompt: usize,
    dice: Dice,
    sequence: Sequence,
    /// Prompt and continuation; the last token of it has not been through the network yet.
    text: Vec<u32>,
    given: usize,
    /// Rows that this round's drafts have left: state and W_e·e by position.
    rows: Vec<[Tensor; 2]>,
    drafts: Vec<u32>,
    /// What each draft was drawn from.
    odds: Vec<Vec<f32>>,
    ended: bool,
}

impl<'m> Speculative<'m> {
    /// Continues `prompts`, at most `batch` of them at a time.
    ///
    /// # Errors
    /// An empty prompt, one that fills the context, a token outside the vocabulary, impossible settings; with an exit rule or
    /// continuous compute there are no drafts.
    pub fn new(
        model: &'m Huginn,
        prompts: Vec<Vec<u32>>,
        batch: usize,
        settings: Settings,
        draft: Draft,
    ) -> Result<Self> {
        settings.check()?;
        check(model, &prompts)?;
        let refuse =
            |option: &str, what: &str| Err(Error::Option { option: option.into(), what: what.into() });
        if batch == 0 {
            return refuse("batch", "0 prompts at a time");
        }
        if draft.lookahead == 0 {
            return refuse("lookahead", "no token to draft");
        }
        if draft.steps == 0 || draft.steps > settings.steps {
            let what = format!("{} iterations for drafts of a token's {}", draft.steps, settings.steps);
            return refuse("draft-steps", &what);
        }
        if !(draft.threshold > 0.0 && draft.threshold <= 1.0) {
            return refuse("accept", &format!("{} is no share above 0", draft.threshold));
        }
        if settings.exit.is_some() {
            return refuse("exit", "not together with drafts, which all take the same iterations");
        }
        if settings.carry != Carry::Fresh {
            return refuse("continuous", "not together with drafts, whose tokens are verified side by side");
        }
        let waiting = if settings.max_tokens == 0 {
            VecDeque::new()
        } else {
            prompts.into_iter().enumerate().collect()
        };
        let scratch = model.scratch();
        let (lanes, emitted, cost) = (Vec::new(), VecDeque::new(), Cost::default());
        Ok(Self {
            model,
            settings,
            draft,
            batch,
            waiting,
            lanes,
            emitted,
            scratch,
            cost,
            drafted: 0,
            accepted: 0,
        })
    }

    /// Tokens that were drafted, and how many of them were accepted.
    pub fn drafts(&self) -> [usize; 2] {
        [self.drafted, self.accepted]
    }

    /// Prompts that are new, or a round of those under way.
    fn tick(&mut self) -> Result<()> {
        let known = self.lanes.len();
        while self.lanes.len() < self.batch
            && let Some((prompt, text)) = self.waiting.pop_front()
        {
            self.lanes.push(Lane {
                prompt,
                dice: Dice::new(self.settings.seed, &text),
                sequence: self.model.sequence(),
                given: text.len(),
                text,
                rows: Vec::new(),
                drafts: Vec::new(),
                odds: Vec::new(),
                ended: false,
            });
        }
        if self.lanes.len() > known {
            return self.prefill(known);
        }
        self.propose()?;
        self.verify()
    }

    /// Prompts of lanes from `known` on at all iterations, and their first tokens.
    fn prefill(&mut self, known: usize) -> Result<()> {
        let steps = self.settings.steps;
        let mut fresh = self.lanes.split_off(known);
        for lane in &mut fresh {
            let count = lane.text.len();
            let mut state = lane.dice.states(self.model, 0, count, 0, &self.settings)?;
            let mut runs = [Run::admit(&mut lane.sequence, count)];
            let injected =
                self.model.inject(&self.model.prelude(&lane.text, &mut runs, &mut self.scratch)?)?;
            for t in 0..steps {
                iterate(self.model, &self.settings, &mut state, &injected, &mut runs, t, &mut self.scratch)?;
                self.cost.core_passes += 1;
                self.cost.core_rows += count;
            }
            let mut last = Tensor::empty(state.device());
            self.model.coda(&state, &mut runs, &mut self.scratch)?.select(&last_rows(&runs), &mut last)?;
            self.cost.coda_passes += 1;
            let logits = logits(self.model, &last)?.to_vec()?;
            let odds = self.odds(logits, &lane.text);
            let token = sampling::choose(&odds, lane.dice.uniform(lane.text.len(), Die::Token));
            self.emit(lane, token, steps);
        }
        self.lanes.extend(fresh.into_iter().filter(|lane| !lane.ended));
        Ok(())
    }

    /// The probabilities of what follows `text`.
    fn odds(&self, mut logits: Vec<f32>, text: &[u32]) -> Vec<f32> {
        self.settings.sampling.penalise(&mut logits, text);
        self.settings.sampling.probabilities(&logits, self.settings.preset)
    }

    fn emit(&mut self, lane: &mut Lane, token: u32, steps: usize) {
        lane.text.push(token);
        // The token's own position is the one behind those that the sequence will have.
        let end = end(self.model, &self.settings, token, lane.text.len() - lane.given, lane.text.len() - 1);
        self.emitted.push_back(Emitted { prompt: lane.prompt, token, steps, end });
        lane.ended |= end.is_some();
    }

    /// Rows of a lane in this round: its newest token, then drafts, as far as tokens are wanted and the context reaches. The
    /// published code verifies every draft and adds no token; a row more than drafts adds one.
    fn wanted(&self, lane: &Lane) -> usize {
        let left = self.settings.max_tokens - (lane.text.len() - lane.given);
        let room = self.model.context() - (lane.text.len() - 1);
        match self.settings.preset {
            Preset::Reference => self.draft.lookahead.min(room),
            Preset::Strict => self.draft.lookahead.saturating_add(1).min(left).min(room),
        }
    }

    /// Drafts tokens one after the other, all lanes' together.
    fn propose(&mut self) -> Result<()> {
        let most = self.lanes.iter().map(|lane| self.wanted(lane)).max().unwrap_or(0);
        for index in 0..most {
            let wanted: Vec<usize> = self.lanes.iter().map(|lane| self.wanted(lane)).collect();
            let (going, last): (Vec<usize>, Vec<bool>) = wanted
                .iter()
                .enumerate()
                .filter(|(_, wanted)| index < **wanted)
                .map(|(lane, wanted)| (lane, index + 1 == *wanted))
                .unzip();
            let states = self.step(&going)?;
            // The last row of a round drafts nothing where a further token comes from its verification.
            let strict = self.settings.preset == Preset::Strict;
            let drafting: Vec<usize> = (0..going.len()).filter(|&row| !(strict && last[row])).collect();
            self.draw(&going, &drafting, &states)?;
        }
        Ok(())
    }

    /// The newest token of some lanes through the draft's iterations; their states, a row each.
    fn step(&mut self, going: &[usize]) -> Result<Tensor> {
        let Self { model, settings, draft, lanes, scratch, cost, .. } = self;
        let mut chosen: Vec<&mut Lane> = lanes
            .iter_mut()
            .enumerate()
            .filter(|(lane, _)| going.contains(lane))
            .map(|(_, lane)| lane)
            .collect();
        let ids: Vec<u32> = chosen.iter().map(|lane| lane.newest()).collect();
        let device = model.head().device();
        let firsts = chosen
            .iter()
            .map(|lane| lane.dice.states(model, lane.sequence.len(), 1, 0, settings))
            .collect::<Result<Vec<_>>>()?;
        let mut state = Tensor::empty(device);
        state.gather(&firsts.iter().map(|first| (first, 0)).collect::<Vec<_>>())?;
        let runs = chosen.iter_mut().map(|lane| Run::admit(&mut lane.sequence, 1));
        let mut runs: Vec<Run<'_>> = runs.collect();
        let injected = model.inject(&model.prelude(&ids, &mut runs, scratch)?)?;
        for t in 0..draft.steps {
            iterate(model, settings, &mut state, &injected, &mut runs, t, scratch)?;
            cost.core_passes += 1;
            cost.core_rows += ids.len();
        }
        for (row, lane) in chosen.into_iter().enumerate() {
            let mut kept = [Tensor::empty(device), Tensor::empty(device)];
            state.select(&[row], &mut kept[0])?;
            injected.select(&[row], &mut kept[1])?;
            lane.rows.push(kept);
        }
        Ok(state)
    }

    /// A draft for those of the lanes that want one.
    fn draw(&mut self, going: &[usize], drafting: &[usize], states: &Tensor) -> Result<()> {
        if drafting.is_empty() {
            return Ok(());
        }
        let mut state = Tensor::empty(states.device());
        states.select(drafting, &mut state)?;
        let wanted: Vec<usize> = drafting.iter().map(|&row| going[row]).collect();
        let Self { model, lanes, scratch, cost, .. } = self;
        let chosen = lanes.iter_mut().enumerate().filter(|(lane, _)| wanted.contains(lane));
        let runs = chosen.map(|(_, lane)| Run::revisit(&mut lane.sequence, 1));
        let mut runs: Vec<Run<'_>> = runs.collect::<fathom::Result<_>>()?;
        let hidden = model.coda(&state, &mut runs, scratch)?;
        drop(runs);
        cost.coda_passes += 1;
        let found = logits(model, &hidden)?.to_rows()?;
        for (index, logits) in wanted.into_iter().zip(found) {
            let text: Vec<u32> = self.lanes[index].whole().collect();
            let odds = self.odds(logits, &text);
            let lane = &mut self.lanes[index];
            let token = sampling::choose(&odds, lane.dice.uniform(text.len(), Die::Draft));
            lane.drafts.push(token);
            lane.odds.push(odds);
            self.drafted += 1;
        }
        Ok(())
    }

    /// The rows of a round through the iterations that are left, and what they say of the drafts.
    fn verify(&mut self) -> Result<()> {
        let exact = !self.settings.policy().shares();
        if !exact {
            self.recompute()?;
        }
        let done = if exact { self.draft.steps } else { 0 };
        let Self { model, settings, lanes, scratch, cost, .. } = self;
        let gathered = |part: usize| -> Result<Tensor> {
            let mut all = Tensor::empty(model.head().device());
            let rows = lanes.iter().flat_map(|lane| lane.rows.iter().map(|row| (&row[part], 0)));
            all.gather(&rows.collect::<Vec<_>>())?;
            Ok(all)
        };
        let (mut state, injected) = (gathered(0)?, gathered(1)?);
        let counts: Vec<usize> = lanes.iter().map(|lane| lane.rows.len()).collect();
        let runs =
            lanes.iter_mut().zip(&counts).map(|(lane, &count)| Run::revisit(&mut lane.sequence, count));
        let mut runs: Vec<Run<'_>> = runs.collect::<fathom::Result<_>>()?;
        for t in done..settings.steps {
            iterate(model, settings, &mut state, &injected, &mut runs, t, scratch)?;
            cost.core_passes += 1;
            cost.core_rows += state.rows();
        }
        let hidden = model.coda(&state, &mut runs, scratch)?;
        drop(runs);
        cost.coda_passes += 1;
        let mut found = logits(model, &hidden)?.to_rows()?.into_iter();
        for mut lane in std::mem::take(&mut self.lanes) {
            let rows: Vec<Vec<f32>> = found.by_ref().take(lane.rows.len()).collect();
            self.accept(&mut lane, rows)?;
            if !lane.ended {
                self.lanes.push(lane);
            }
        }
        Ok(())
    }

    /// A cache whose iterations overwrite each other does not have what the verification would read: its rows begin anew.
    fn recompute(&mut self) -> Result<()> {
        let Self { model, settings, lanes, scratch, .. } = self;
        for lane in lanes {
            let first = lane.sequence.len() - lane.rows.len();
            let ids: Vec<u32> = lane.whole().skip(lane.text.len() - 1).take(lane.rows.len()).collect();
            lane.sequence.truncate(first)?;
            let states = lane.dice.states(model, first, ids.len(), 0, settings)?;
            let mut runs = [Run::admit(&mut lane.sequence, ids.len())];
            let injected = model.inject(&model.prelude(&ids, &mut runs, scratch)?)?;
            for (row, kept) in lane.rows.iter_mut().enumerate() {
                states.select(&[row], &mut kept[0])?;
                injected.select(&[row], &mut kept[1])?;
            }
        }
        Ok(())
    }

    /// Takes what the verified rows allow, and forgets the positions behind it.
    fn accept(&mut self, lane: &mut Lane, rows: Vec<Vec<f32>>) -> Result<()> {
        let (steps, drafts) = (self.settings.steps, std::mem::take(&mut lane.drafts));
        let proposed = std::mem::take(&mut lane.odds);
        let mut rejected = false;
        for ((logits, &draft), proposed) in rows.iter().zip(&drafts).zip(&proposed) {
            let mut logits = logits.clone();
            self.settings.sampling.penalise(&mut logits, &lane.text);
            let odds = self.settings.sampling.probabilities(&logits, self.settings.preset);
            let position = lane.text.len();
            let uniform = |die| lane.dice.uniform(position, die);
            let token = if self.accepts(&logits, &odds, proposed, draft, uniform(Die::Accept)) {
                self.accepted += 1;
                draft
            } else {
                rejected = true;
                self.correction(&odds, proposed, uniform(Die::Residual))
            };
            self.emit(lane, token, steps);
            if rejected || lane.ended {
                break;
            }
        }
        if let (false, false, Some(logits)) = (rejected, lane.ended, rows.get(drafts.len())) {
            let odds = self.odds(logits.clone(), &lane.text);
            let token = sampling::choose(&odds, lane.dice.uniform(lane.text.len(), Die::Token));
            self.emit(lane, token, steps);
        }
        lane.rows.clear();
        // All but the newest token has its keys and values.
        lane.sequence.truncate((lane.text.len() - 1).min(lane.sequence.len()))?;
        Ok(())
    }

    /// Whether a draft stands, given the penalised logits of its verification and what is drawn from.
    fn accepts(&self, logits: &[f32], odds: &[f32], proposed: &[f32], draft: u32, uniform: f64) -> bool {
        let at = draft as usize;
        if self.draft.threshold < 1.0 {
            // Greedy, one token has all that is drawn from: the logits tell how near a draft comes to it.
            let share = match self.settings.sampling.greedy() {
                true => (logits[at] - logits[sampling::largest(logits)]).exp(),
                false => odds[at] / odds[sampling::largest(odds)],
            };
            return share >= self.draft.threshold;
        }
        match self.settings.preset {
            Preset::Reference => sampling::largest(logits) == at,
            Preset::Strict => uniform * f64::from(proposed[at]) < f64::from(odds[at]),
        }
    }

    /// The token in place of a rejected draft: drawn from what the verification finds likelier than the draft did.
    fn correction(&self, odds: &[f32], proposed: &[f32], uniform: f64) -> u32 {
        if self.settings.preset == Preset::Reference || self.draft.threshold < 1.0 {
            return sampling::choose(odds, uniform);
        }
        let more: Vec<f32> = odds.iter().zip(proposed).map(|(p, q)| (p - q).max(0.0)).collect();
        let any = more.iter().any(|&p| p > 0.0);
        sampling::choose(if any { &more } else { odds }, uniform)
    }
}

impl Lane {
    /// The text with its drafts.
    fn whole(&self) -> impl Iterator<Item = u32> {
        self.text.iter().chain(&self.drafts).copied()
    }

    /// The token that goes through the network next.
    fn newest(&self) -> u32 {
        self.drafts.last().or(self.text.last()).copied().unwrap_or_default()
    }
}

fn iterate(
    model: &Huginn,
    settings: &Settings,
    state: &mut Tensor,
    injected: &Tensor,
    runs: &mut [Run<'_>],
    t: usize,
    scratch: &mut Scratch,
) -> Result<()> {
    Ok(model.iterate(state, injected, runs, t, settings.policy(), &Disturbance::None, scratch)?)
}

impl Iterator for Speculative<'_> {
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

impl Decoding for Speculative<'_> {
    fn cost(&self) -> Cost {
        self.cost
    }

    fn stop(&mut self, prompt: usize) {
        self.waiting.retain(|(index, _)| *index != prompt);
        self.emitted.retain(|emitted| emitted.prompt != prompt);
        self.lanes.retain(|lane| lane.prompt != prompt);
    }
}
