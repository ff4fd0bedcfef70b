//! Recurrent depth as thought: the states of the position that predicts the first answer token.
//!
//! Earlier positions are computed once, from initial states that belong to no trajectory; a perturbation of scope
//! `full` acts on them too, and then every trajectory has its own. The answer is decoded greedily at the same r.

use std::sync::atomic::Ordering;

use fathom::{
    Keep, Tensor, Tokens,
    kv::{Layout, Sequence},
    ops::{arg_max::arg_max, embedding::Input},
    random::{Draw, Stream, key},
};

use super::{CachePolicy, Huginn};
use crate::{
    error::{Error, Result},
    greedy::{Decoder, greedy},
    latents::Latent,
    pass::{Disturbance, DropSites, Run, coordinates, last_rows},
    perturbation::Perturbation,
    reasoner::{Branch, Reasoner, Thought},
};

/// Rows of one pass at most: bounds the memory of activations.
const ROWS: usize = 256;

/// One trajectory of a recurrent thought.
#[derive(Debug)]
pub struct RecurrentThought {
    sequence: Sequence,
    draw: Draw,
    /// Key of the initial states that belong to no trajectory.
    states_key: u64,
    /// W_e·e at the thinking position `[h]`.
    injected: Latent,
    initial: Latent,
    states: Vec<Latent>,
}

impl Thought for RecurrentThought {
    fn latents(&self) -> &[Latent] {
        &self.states
    }

    fn ended(&self) -> bool {
        false
    }
}

impl RecurrentThought {
    fn state(&self) -> &Latent {
        self.states.last().unwrap_or(&self.initial)
    }

    /// The thought as it is now, to be continued apart from this one: later iterations write further slots of the thinking
    /// position, which each therefore owns.
    ///
    /// # Errors
    /// No memory on the device.
    pub fn duplicate(&self) -> Result<Self> {
        let Self { sequence, draw, states_key, injected, initial, states } = self;
        Ok(Self {
            sequence: sequence.duplicate()?,
            draw: *draw,
            states_key: *states_key,
            injected: injected.clone(),
            initial: initial.clone(),
            states: states.clone(),
        })
    }
}

impl Huginn {
    /// What perturbs iteration `t` of rows that belong to `draws`.
    fn disturbance(
        &self,
        perturbation: Perturbation,
        runs: &[Run<'_>],
        draws: &[Draw],
        t: usize,
    ) -> Disturbance<'static> {
        match perturbation {
            Perturbation::Dropout { p, .. } if p > 0.0 => Disturbance::Dropout {
                keep: Keep::new(p),
                sites: DropSites { latent: true, ..DropSites::default() },
                rows: coordinates(runs, draws, t),
            },
            Perturbation::Noise { std, .. } if std > 0.0 => {
                Disturbance::Noise { std, rows: coordinates(runs, draws, t) }
            }
            _ => Disturbance::None,
        }
    }

    /// Runs tokens, `count` of each sequence, through all three passes at r = `steps`; the head's inputs at each sequence's last
    /// row.
    fn consume(
        &self,
        sequences: &mut [&mut Sequence],
        tokens: &[Input<'_>],
        count: usize,
        steps: usize,
        states_keys: &[u64],
        disturbance: impl Fn(&[Run<'_>], usize) -> Disturbance<'static>,
    ) -> Result<Tensor> {
        let mut runs: Vec<Run<'_>> =
            sequences.iter_mut().map(|sequence| Run::admit(sequence, count)).collect();
        let shared: Vec<Draw> = states_keys.iter().map(|&key| Draw { key, trajectory: 0 }).collect();
        let mut state = self.initial_state(&coordinates(&runs, &shared, 0))?;
        self.scratch.with(|scratch| {
            let injected = self.inject(&self.embed(tokens, &mut runs, scratch)?)?;
            for t in 0..steps {
                let disturbance = disturbance(&runs, t);
                let policy = CachePolicy::Full;
                self.iterate(&mut state, &injected, &mut runs, t, policy, &disturbance, scratch)?;
            }
            let mut last = Tensor::empty(state.device());
            self.coda(&state, &mut runs, scratch)?.select(&last_rows(&runs), &mut last)?;
            Ok(last)
        })
    }

    /// The thinking position of every sequence: prelude and initial state, no iteration yet.
    fn open(
        &self,
        mut sequences: Vec<Sequence>,
        token: u32,
        draws: &[Draw],
        states_key: u64,
        perturbation: Perturbation,
    ) -> Result<Vec<RecurrentThought>> {
        let mut runs: Vec<Run<'_>> = sequences.iter_mut().map(|sequence| Run::admit(sequence, 1)).collect();
        let embedded =
            self.scratch.with(|scratch| self.prelude(&vec![token; runs.len()], &mut runs, scratch))?;
        // Every row is the same token behind the same prelude, so one row stands for all.
        let mut one = Tensor::empty(embedded.device());
        embedded.select(&[0], &mut one)?;
        let injected = Latent::of(self.inject(&one)?, 0);
        let own = |draw: &Draw| match perturbation {
            Perturbation::State => Draw { key: states_key, trajectory: draw.trajectory },
            _ => Draw { key: states_key, trajectory: 0 },
        };
        let initial =
            self.initial_state(&coordinates(&runs, &draws.iter().map(own).collect::<Vec<_>>(), 0))?;
        let rows = sequences.into_iter().zip(draws).zip(Latent::each(initial));
        let thoughts = rows.map(|((sequence, &draw), initial)| RecurrentThought {
            sequence,
            draw,
            states_key,
            injected: injected.clone(),
            initial,
            states: Vec::new(),
        });
        Ok(thoughts.collect())
    }

    /// One iteration of thoughts that have all taken `t`.
    fn iterate_thoughts(
        &self,
        thoughts: &mut [RecurrentThought],
        t: usize,
        perturbation: Perturbation,
    ) -> Result<()> {
        let device = self.head().device();
        for thoughts in thoughts.chunks_mut(ROWS) {
            let (mut state, mut injected) = (Tensor::empty(device), Tensor::empty(device));
            Latent::gather(thoughts.iter().map(RecurrentThought::state), &mut state)?;
            Latent::gather(thoughts.iter().map(|thought| &thought.injected), &mut injected)?;
            let draws: Vec<Draw> = thoughts.iter().map(|thought| thought.draw).collect();
            let runs = thoughts.iter_mut().map(|thought| Run::revisit(&mut thought.sequence, 1));
            let mut runs: Vec<Run<'_>> = runs.collect::<fathom::Result<_>>()?;
            let disturbance = self.disturbance(perturbation, &runs, &draws, t);
            let policy = CachePolicy::Full;
            self.scratch.with(|scratch| {
                self.iterate(&mut state, &injected, &mut runs, t, policy, &disturbance, scratch)
            })?;
            // What is kept lies elsewhere at each iteration; what is computed does not.
            let mut kept = Tensor::empty(device);
            kept.reshape(state.rows(), state.width())?;
            kept.put(0, &state)?;
            for (thought, state) in thoughts.iter_mut().zip(Latent::each(kept)) {
                thought.states.push(state);
            }
        }
        Ok(())
    }
}

impl Reasoner for Huginn {
    type Thought = RecurrentThought;

    fn prefilled_steps(&self) -> usize {
        0
    }

    fn prefill(
        &self,
        prompt: &[u32],
        steps: usize,
        draws: &[Draw],
        seed: u64,
        perturbation: Perturbation,
    ) -> Result<Vec<RecurrentThought>> {
        let Some((&last, before)) = prompt.split_last() else {
            return Err(Error::Option { option: "prompt".into(), what: "is empty".into() });
        };
        if draws.is_empty() {
            return Ok(Vec::new());
        }
        if prompt.len() > self.context {
            return Err(Error::PromptTooLong { tokens: prompt.len(), context: self.context });
        }
        let states_key = key(seed, prompt, Stream::State);
        let apart = perturbation.reaches_earlier_positions();
        let copies = if apart { draws.len() } else { 1 };
        let slots = self.prelude.len() + self.coda.len() + steps * self.core.len();
        let layout = Layout { slots, ..self.layout() };
        self.prefilled.fetch_add(copies, Ordering::Relaxed);
        let mut sequences: Vec<Sequence> =
            (0..copies).map(|_| Sequence::new(self.head().device(), layout)).collect();
        if !before.is_empty() {
            let together = (ROWS / before.len()).max(1);
            for (sequences, draws) in sequences.chunks_mut(together).zip(draws.chunks(together)) {
                let mut sequences: Vec<_> = sequences.iter_mut().collect();
                let tokens: Vec<Input<'_>> = before.iter().map(|&id| Input::Token(id)).collect();
                let (tokens, keys) = (tokens.repeat(sequences.len()), vec![states_key; sequences.len()]);
                self.consume(&mut sequences, &tokens, before.len(), steps, &keys, |runs, t| match apart {
                    true => self.disturbance(perturbation, runs, draws, t),
                    false => Disturbance::None,
                })?;
            }
        }
        if !apart {
            // One trajectory forks as many do: where a prompt ends and a thought begins decides how a GPU sums.
            sequences = sequences.remove(0).fork(draws.len());
        }
        self.open(sequences, last, draws, states_key, perturbation)
    }

    fn step(
        &self,
        branches: Vec<Branch<RecurrentThought>>,
        perturbation: Perturbation,
    ) -> Result<Vec<Vec<RecurrentThought>>> {
        let counts: Vec<usize> = branches.iter().map(|branch| branch.draws.len()).collect();
        let mut thoughts = Vec::with_capacity(counts.iter().sum());
        for branch in branches {
            thoughts.extend(fork(branch.thought, &branch.draws)?);
        }
        let mut from = 0;
        while from < thoughts.len() {
            let t = thoughts[from].states.len();
            let together = thoughts[from..].iter().take_while(|thought| thought.states.len() == t).count();
            self.iterate_thoughts(&mut thoughts[from..from + together], t, perturbation)?;
            from += together;
        }
        let mut thoughts = thoughts.into_iter();
        Ok(counts.into_iter().map(|count| thoughts.by_ref().take(count).collect()).collect())
    }

    fn read_out(
        &self,
        thoughts: Vec<RecurrentThought>,
        max_tokens: usize,
        _perturbation: Perturbation,
    ) -> Result<Vec<Vec<u32>>> {
        let mut answers = vec![Vec::new(); thoughts.len()];
        let mut alike: Vec<(usize, RecurrentThought)> = thoughts.into_iter().enumerate().collect();
        alike.sort_by_key(|(_, thought)| thought.states.len());
        // Rows of one r share their passes.
        while let Some(depth) = alike.last().map(|(_, thought)| thought.states.len()) {
            let first = alike.partition_point(|(_, thought)| thought.states.len() < depth);
            let first = first.max(alike.len().saturating_sub(ROWS));
            let (rows, thoughts): (Vec<usize>, Vec<_>) = alike.drain(first..).unzip();
            let (count, device) = (rows.len(), self.head().device());
            let mut answering = Answering { model: self, thoughts, depth };
            let found = greedy(device, count, max_tokens, &self.eos, &mut answering)?;
            rows.into_iter().zip(found).for_each(|(row, answer)| answers[row] = answer);
        }
        Ok(answers)
    }
}

/// Thoughts of one r that are read out.
struct Answering<'a> {
    model: &'a Huginn,
    thoughts: Vec<RecurrentThought>,
    depth: usize,
}

impl Decoder for Answering<'_> {
    fn room(&self, row: usize) -> usize {
        self.model.context - self.thoughts[row].sequence.len().min(self.model.context)
    }

    /// The first token comes from the coda on the last state.
    fn pass(&mut self, rows: &[usize], places: Option<&[usize]>, chosen: &mut Tokens) -> Result<()> {
        let Self { model, thoughts, depth } = self;
        let wanted = thoughts.iter_mut().enumerate().filter(|(row, _)| rows.binary_search(row).is_ok());
        let mut wanted: Vec<&mut RecurrentThought> = wanted.map(|(_, thought)| thought).collect();
        let states = match places {
            Some(places) => {
                let fed: Vec<Input<'_>> = places.iter().map(|&place| Input::Chosen(chosen, place)).collect();
                let keys: Vec<u64> = wanted.iter().map(|thought| thought.states_key).collect();
                let mut sequences: Vec<_> = wanted.iter_mut().map(|thought| &mut thought.sequence).collect();
                model.consume(&mut sequences, &fed, 1, *depth, &keys, |_, _| Disturbance::None)?
            }
            None => {
                let mut state = Tensor::empty(model.head().device());
                Latent::gather(wanted.iter().map(|thought| thought.state()), &mut state)?;
                let runs = wanted.iter_mut().map(|thought| Run::revisit(&mut thought.sequence, 1));
                let mut runs: Vec<Run<'_>> = runs.collect::<fathom::Result<_>>()?;
                model.scratch.with(|scratch| model.coda(&state, &mut runs, scratch))?
            }
        };
        Ok(arg_max(&states, model.head(), chosen)?)
    }
}

/// One thought a draw that continues `thought`.
fn fork(mut thought: RecurrentThought, draws: &[Draw]) -> Result<Vec<RecurrentThought>> {
    if let [draw] = draws {
        thought.draw = *draw;
        return Ok(vec![thought]);
    }
    draws.iter().map(|&draw| Ok(RecurrentThought { draw, ..thought.duplicate()? })).collect()
}
