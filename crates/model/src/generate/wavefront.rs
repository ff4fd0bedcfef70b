//! A wavefront of positions that iterate together and come to rest one after the other (arXiv 2510.14961; spec huginn
//! §3.2.4).
//!
//! Each round takes the positions of the wave through a few iterations, guesses the tokens that follow them anew, and adds a
//! position at its end; positions whose states have come to rest freeze, and their tokens with them. A pass is as wide as the
//! wave, which costs no more than a narrow one as long as reading the weights is what takes the time.

use std::collections::VecDeque;

use fathom::{
    Tensor,
    kv::Sequence,
    ops::{add::add, distance::distance, scale::scale},
};

use super::{
    Cost, Decoding, Dice, Die, Emitted, End, Preset, Settings, carried, check, end, logits, sampling,
};
use crate::{
    error::{Error, Result},
    huginn::Huginn,
    pass::{Disturbance, Run, last_rows},
    scratch::Scratch,
};

/// Rounds of a prompt behind which nothing is waited for any longer: as many as the published code makes at most.
const ROUNDS: usize = 4096;

/// What freezes a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Freeze {
    /// Its state moves by less than a threshold in a round.
    #[default]
    LatentDiff,
    /// Nothing: behind as many rounds as a token's iterations take, `headway` positions freeze a round.
    Fixed,
    /// Its token has stayed for as many rounds running; the published code counts those before it changed too.
    TokenStability,
}

/// The shape of a wave.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wave {
    /// Iterations a round.
    pub inner: usize,
    /// What freezes positions.
    pub freeze: Freeze,
    /// ‖s − s′‖/‖s‖ from round to round below which a position is at rest.
    pub threshold: f32,
    /// Positions that are added a round.
    pub headway: usize,
    /// Positions at most.
    pub width: usize,
    /// Share of the last round's embedded input that is kept.
    pub ema: f32,
    /// Share of a fresh state that is mixed in at the beginning of a round, divided by one more than the iterations that the
    /// position has had.
    pub noise: f32,
}

impl Default for Wave {
    /// As published, but for the share of fresh states, which is the paper's.
    fn default() -> Self {
        let freeze = Freeze::LatentDiff;
        Self { inner: 4, freeze, threshold: 0.03, headway: 1, width: 128, ema: 0.1, noise: 0.0 }
    }
}

/// Prompts that are continued one after the other.
#[derive(Debug)]
pub struct Wavefront<'m> {
    model: &'m Huginn,
    settings: Settings,
    wave: Wave,
    waiting: VecDeque<(usize, Vec<u32>)>,
    front: Option<Front>,
    emitted: VecDeque<Emitted>,
    scratch: Scratch,
    cost: Cost,
    rounds: usize,
}

/// The wave of one prompt.
#[derive(Debug)]
struct Front {
    prompt: usize,
    dice: Dice,
    sequence: Sequence,
    given: usize,
    /// Tokens that stand.
    frozen: usize,
    /// Those, and guesses behind them.
    text: Vec<u32>,
    /// The position of the wave's first row.
    first: usize,
    /// A state each, `[width, h]`.
    states: Tensor,
    /// Embedded inputs of the last round, and its first position.
    embedded: Option<(Tensor, usize)>,
    /// States of the last round; their first position by the rule of the preset.
    before: Option<(Tensor, usize)>,
    /// By position: iterations, and rounds for which its token has stayed.
    iterations: Vec<usize>,
    stable: Vec<usize>,
    round: usize,
}

impl<'m> Wavefront<'m> {
    /// Continues `prompts`.
    ///
    /// # Errors
    /// An empty prompt, one that fills the context, a token outside the vocabulary, impossible settings; with an exit rule there
    /// is no wave.
    pub fn new(model: &'m Huginn, prompts: Vec<Vec<u32>>, settings: Settings, wave: Wave) -> Result<Self> {
        settings.check()?;
        check(model, &prompts)?;
        let refuse = |option: &str, what: String| Err(Error::Option { option: option.into(), what });
        // The prompt keeps keys and values of its own iterations alone.
        if wave.inner == 0 || wave.inner > settings.steps {
            return refuse("inner", format!("{} of {} iterations a round", wave.inner, settings.steps));
        }
        if wave.headway == 0 {
            return refuse("headway", "0 positions a round".into());
        }
        if wave.width <= wave.headway {
            return refuse(
                "width",
                format!("a wave of {} for {} positions a round", wave.width, wave.headway),
            );
        }
        for (option, share) in [("ema", wave.ema), ("noise", wave.noise)] {
            if !(0.0..=1.0).contains(&share) {
                return refuse(option, format!("{share} is no share"));
            }
        }
        if !(wave.threshold > 0.0 && wave.threshold.is_finite()) {
            return refuse("threshold", format!("{} is no finite number above 0", wave.threshold));
        }
        if settings.exit.is_some() {
            return refuse("exit", "not together with a wave, which freezes positions by itself".into());
        }
        let waiting = if settings.max_tokens == 0 {
            VecDeque::new()
        } else {
            prompts.into_iter().enumerate().collect()
        };
        let (scratch, cost) = (model.scratch(), Cost::default());
        Ok(Self {
            model,
            settings,
            wave,
            waiting,
            front: None,
            emitted: VecDeque::new(),
            scratch,
            cost,
            rounds: 0,
        })
    }

    /// Rounds so far, of all prompts.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    fn tick(&mut self) -> Result<()> {
        let front = match self.front.take() {
            Some(front) => self.round(front)?,
            None => match self.waiting.pop_front() {
                Some((prompt, text)) => self.open(prompt, text)?,
                None => None,
            },
        };
        self.front = front;
        Ok(())
    }

    /// A prompt at all iterations, its first token, and a wave of that one.
    fn open(&mut self, prompt: usize, mut text: Vec<u32>) -> Result<Option<Front>> {
        let Self { model, settings, scratch, cost, .. } = self;
        let (dice, given) = (Dice::new(settings.seed, &text), text.len());
        let mut sequence = model.sequence();
        let mut state = dice.states(model, 0, given, 0, settings)?;
        let mut runs = [Run::admit(&mut sequence, given)];
        let embedded = model.prelude(&text, &mut runs, scratch)?;
        let injected = model.inject(&embedded)?;
        for t in 0..settings.steps {
            let none = Disturbance::None;
            model.iterate(&mut state, &injected, &mut runs, t, settings.cache, &none, scratch)?;
        }
        cost.core_passes += settings.steps;
        cost.core_rows += settings.steps * given;
        let mut last = Tensor::empty(state.device());
        model.coda(&state, &mut runs, scratch)?.select(&last_rows(&runs), &mut last)?;
        cost.coda_passes += 1;
        let token = chosen(settings, dice, logits(model, &last)?.to_vec()?, &text);
        text.push(token);
        let states = match carried(model, settings.carry, &state)? {
            Some(state) => state,
            None => dice.states(model, given, 1, 0, settings)?,
        };
        let mut iterations = vec![settings.steps; text.len()];
        if settings.preset == Preset::Strict {
            // The published code counts the prompt's for the first token too, whose state has had none.
            iterations[given] = 0;
        }
        let front = Front {
            prompt,
            dice,
            sequence,
            given,
            frozen: text.len(),
            iterations,
            stable: vec![0; text.len()],
            text,
            first: given,
            states,
            embedded: None,
            before: None,
            round: 0,
        };
        Ok(if self.emit(&front, given) { None } else { Some(front) })
    }

    /// Emits the tokens that stand from position `from` on; whether the last of them ends the text.
    fn emit(&mut self, front: &Front, from: usize) -> bool {
        for position in from..front.frozen {
            let (token, count) = (front.text[position], position + 1 - front.given);
            let end = end(self.model, &self.settings, token, count, position);
            // Of the row behind which it stands.
            let steps = front.iterations[position - 1];
            self.emitted.push_back(Emitted { prompt: front.prompt, token, steps, end });
            if end.is_some() {
                return true;
            }
        }
        false
    }

    /// One round; nothing where the text has ended.
    fn round(&mut self, mut front: Front) -> Result<Option<Front>> {
        self.rounds += 1;
        front.round += 1;
        let found = self.iterate(&mut front)?;
        let guessed = std::mem::take(&mut front.text);
        // The row of the newest token that stands predicts the first that does not.
        let skipped = (front.frozen - 1).saturating_sub(front.first);
        front.text = guessed[..front.frozen].to_vec();
        for logits in found.into_iter().skip(skipped) {
            let token = chosen(&self.settings, front.dice, logits, &front.text);
            front.text.push(token);
        }
        for (position, &token) in front.text.iter().enumerate().skip(front.frozen) {
            let stays = guessed.get(position) == Some(&token);
            if front.stable.len() <= position {
                front.stable.resize(position + 1, 0);
            }
            if stays {
                front.stable[position] += 1;
            } else if self.settings.preset == Preset::Strict {
                front.stable[position] = 0;
            }
        }
        let from = front.frozen;
        self.freeze(&mut front, &guessed)?;
        let last = self.model.context() - 1;
        let done = front.iterations.get(last).is_some_and(|&iterations| iterations >= self.settings.steps);
        if front.frozen > last && done && guessed.get(last) == front.text.get(last) {
            // What the last position says is the last token; no position is left to take it in, or to freeze it.
            front.frozen += 1;
        }
        if self.emit(&front, from) {
            return Ok(None);
        }
        let width = front.states.rows();
        let reach = front.first + width + self.headway(width);
        if self.settings.preset == Preset::Reference && reach > self.model.context() {
            // The published code stops where a guess passes the context, though positions before it have not come to rest.
            if let Some(last) = self.emitted.back_mut() {
                last.end = Some(End::Context);
            }
            return Ok(None);
        }
        self.extend(&mut front)?;
        Ok(Some(front))
    }

    /// The wave through a round's iterations; the logits of each row.
    fn iterate(&mut self, front: &mut Front) -> Result<Vec<Vec<f32>>> {
        let Self { model, settings, wave, scratch, cost, .. } = self;
        let width = front.states.rows();
        front.sequence.truncate(front.first)?;
        let mut runs = [Run::admit(&mut front.sequence, width)];
        let tokens = &front.text[front.first..front.first + width];
        let mut embedded = model.prelude(tokens, &mut runs, scratch)?;
        if let Some((before, start)) = &front.embedded {
            blend(&mut embedded, before, front.first - start, wave.ema, settings.preset)?;
        }
        let injected = model.inject(&embedded)?;
        front.embedded = Some((embedded, front.first));
        front.iterations.resize(front.first + width, 0);
        if wave.noise > 0.0 {
            let fresh = front.dice.states(model, front.first, width, front.round, settings)?;
            mix(&mut front.states, &fresh, &front.iterations[front.first..], wave.noise)?;
        }
        for t in 0..wave.inner {
            let none = Disturbance::None;
            model.iterate(&mut front.states, &injected, &mut runs, t, settings.cache, &none, scratch)?;
        }
        cost.core_passes += wave.inner;
        cost.core_rows += wave.inner * width;
        front.iterations[front.first..].iter_mut().for_each(|iterations| *iterations += wave.inner);
        let hidden = model.coda(&front.states, &mut runs, scratch)?;
        cost.coda_passes += 1;
        Ok(logits(model, &hidden)?.to_rows()?)
    }

    /// Freezes what has come to rest; the round went through the network with the tokens `guessed`.
    fn freeze(&self, front: &mut Front, guessed: &[u32]) -> Result<()> {
        let Wave { inner, headway, freeze, threshold, .. } = self.wave;
        let rounds = self.settings.steps / inner;
        let width = front.states.rows();
        let end = front.first + width;
        let mut rests = match freeze {
            Freeze::LatentDiff => front.moved(threshold)?,
            Freeze::Fixed if front.round > rounds + 1 => Some(front.frozen.saturating_add(headway - 1)),
            Freeze::Fixed => None,
            Freeze::TokenStability => (front.first..end)
                .rev()
                .find(|&position| front.stable.get(position).is_some_and(|&stays| stays > rounds)),
        };
        let strict = self.settings.preset == Preset::Strict;
        if strict || front.round > ROUNDS {
            // What has had a token's iterations is done, whether or not it rests.
            let done = (front.first..end)
                .rev()
                .find(|&at| front.iterations[at] >= self.settings.steps && at >= front.frozen);
            rests = rests.max(done);
        }
        let start = front.first;
        if let Some(last) = rests {
            let frozen = last.saturating_add(1).clamp(front.frozen, front.text.len().min(end));
            front.frozen = frozen;
            // A token that was another one in this round has left keys and values that are not its own.
            let stale = |position: &usize| strict && guessed.get(*position) != front.text.get(*position);
            front.first = (start..frozen - 1).find(stale).unwrap_or(frozen - 1).max(start);
            let rows: Vec<usize> = (front.first - start..width).collect();
            let mut kept = Tensor::empty(front.states.device());
            front.states.select(&rows, &mut kept)?;
            front.states = kept;
        }
        // The published code keeps the states that are left and believes them to begin where the wave began.
        let believed = match self.settings.preset {
            Preset::Reference => start,
            Preset::Strict => front.first,
        };
        front.before = Some((front.states.clone(), believed));
        Ok(front.sequence.truncate(front.first)?)
    }

    /// Positions by which a wave of `width` may grow.
    fn headway(&self, width: usize) -> usize {
        self.wave.headway.min(self.wave.width.saturating_sub(width))
    }

    /// Adds positions to the end of the wave, as far as the context goes.
    fn extend(&self, front: &mut Front) -> Result<()> {
        let width = front.states.rows();
        let behind = front.first + width;
        let more = self.headway(width).min(self.model.context().saturating_sub(behind));
        front.text.truncate(behind + 1);
        while front.text.len() < behind + more {
            let position = front.text.len();
            let any = front.dice.uniform(position, Die::Draft) * self.model.head().n() as f64;
            front.text.push(any as u32);
        }
        if more == 0 {
            return Ok(());
        }
        let fresh = match carried(self.model, self.settings.carry, &front.states)? {
            Some(mut copies) => {
                copies.repeat(more)?;
                copies
            }
            None => front.dice.states(self.model, behind, more, 0, &self.settings)?,
        };
        let rows = (0..width).map(|row| (&front.states, row)).chain((0..more).map(|row| (&fresh, row)));
        let mut longer = Tensor::empty(fresh.device());
        longer.gather(&rows.collect::<Vec<_>>())?;
        front.states = longer;
        Ok(())
    }
}

impl Front {
    /// The last position whose state has moved by less than `threshold` since the last round.
    fn moved(&self, threshold: f32) -> Result<Option<usize>> {
        let Some((before, first)) = &self.before else { return Ok(None) };
        let ahead = self.first.saturating_sub(*first);
        let count = self.states.rows().min(before.rows().saturating_sub(ahead));
        if count == 0 {
            return Ok(None);
        }
        let [mut now, mut then, mut sums] = [(); 3].map(|()| Tensor::empty(self.states.device()));
        self.states.select(&(0..count).collect::<Vec<_>>(), &mut now)?;
        before.select(&(ahead..ahead + count).collect::<Vec<_>>(), &mut then)?;
        distance(&now, &then, &mut sums)?;
        let rows = sums.to_rows()?;
        Ok(rows.iter().rposition(|row| row[0] / row[1] < threshold).map(|row| self.first + row))
    }
}

/// The token behind `text`.
fn chosen(settings: &Settings, dice: Dice, mut logits: Vec<f32>, text: &[u32]) -> u32 {
    settings.sampling.penalise(&mut logits, text);
    let odds = settings.sampling.probabilities(&logits, settings.preset);
    sampling::choose(&odds, dice.uniform(text.len(), Die::Token))
}

/// E ← (1 − share)·E + share·E′ at positions that both have; E′ begins `ahead` positions before E. The published code takes
/// the share from new positions too, which have nothing to keep.
fn blend(embedded: &mut Tensor, before: &Tensor, ahead: usize, share: f32, preset: Preset) -> Result<()> {
    let count = embedded.rows().min(before.rows().saturating_sub(ahead));
    let blended = match preset {
        Preset::Reference => embedded.rows(),
        Preset::Strict => count,
    };
    if share == 0.0 || blended == 0 {
        return Ok(());
    }
    let [mut old, mut new] = [(); 2].map(|()| Tensor::empty(embedded.device()));
    embedded.select(&(0..blended).collect::<Vec<_>>(), &mut new)?;
    scale(&mut new, 1.0 - share)?;
    embedded.put(0, &new)?;
    if count > 0 {
        before.select(&(ahead..ahead + count).collect::<Vec<_>>(), &mut old)?;
        embedded.select(&(0..count).collect::<Vec<_>>(), &mut new)?;
        scale(&mut old, share)?;
        add(&mut new, &old)?;
        embedded.put(0, &new)?;
    }
    Ok(())
}

/// Z ← (1 − q)·Z + q·fresh with q = share/(1 + iterations) by row.
fn mix(states: &mut Tensor, fresh: &Tensor, iterations: &[usize], share: f32) -> Result<()> {
    for (row, &spent) in iterations.iter().enumerate().take(states.rows()) {
        let q = share / (1.0 + spent as f32);
        let [mut old, mut new] = [(); 2].map(|()| Tensor::empty(states.device()));
        states.select(&[row], &mut old)?;
        fresh.select(&[row], &mut new)?;
        scale(&mut old, 1.0 - q)?;
        scale(&mut new, q)?;
        add(&mut old, &new)?;
        states.put(row, &old)?;
    }
    Ok(())
}

impl Iterator for Wavefront<'_> {
    type Item = Result<Emitted>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Under Reference a wave may end without another token: the newest waits for what becomes of it.
            let held = usize::from(self.front.is_some() && self.settings.preset == Preset::Reference);
            if self.emitted.len() > held {
                return self.emitted.pop_front().map(Ok);
            }
            if self.front.is_none() && self.waiting.is_empty() {
                return None;
            }
            if let Err(error) = self.tick() {
                (self.front, self.waiting) = (None, VecDeque::new());
                return Some(Err(error));
            }
        }
    }
}

impl Decoding for Wavefront<'_> {
    fn cost(&self) -> Cost {
        self.cost
    }

    fn stop(&mut self, prompt: usize) {
        self.waiting.retain(|(index, _)| *index != prompt);
        self.emitted.retain(|emitted| emitted.prompt != prompt);
        self.front.take_if(|front| front.prompt == prompt);
    }
}
