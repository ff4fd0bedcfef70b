//! A run of training: from a configuration and two files of problems to checkpoints that load everywhere.
//!
//! Step t is a function of the configuration and t alone: the problems, the draws, the number of iterations. So a run that was
//! stopped at any moment goes on from its last checkpoint to the same weights, bit for bit on the CPU.

mod config;
mod learner;
pub(crate) mod problems;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use fathom::{
    Device,
    random::{Stream, key},
};
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, GenerationDefaults, SpecialIds},
    folder::Folder,
    latent::Kind,
    tokenizer::Tokenizer,
};
use fathom_search::prompt::Dialogue;
use serde::{Deserialize, Serialize};

pub use config::{DataConfig, Method, ModelConfig, OptimizerConfig, Progress, RunConfig, Stage, Targets};

use self::{learner::Learner, problems::Encoded};
use crate::{
    checkpoint::{Checkpoints, State, resume},
    data::{self, Worked},
    error::{Error, Result},
    journal::Journal,
    optimizer::Optimizer,
    parameters::Gradients,
};

/// Files of a model's folder that checkpoints carry along.
pub(crate) const BESIDE: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

/// The name of the log in a run's folder: a [`Line`] of JSON each.
pub const LOG: &str = "log.jsonl";

/// What a line of the log tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// Of steps since the line before.
    Step {
        /// Steps taken.
        step: u64,
        /// Mean loss a target.
        loss: f64,
        /// Norm of the last gradients, before it was clipped.
        norm: f64,
        /// Learning rate of the last step.
        lr: f64,
        /// Tokens a second.
        speed: f64,
    },
    /// Of problems that it does not learn from.
    Validation {
        /// Steps taken.
        step: u64,
        /// One where there are no iterations.
        losses: Vec<AtDepth>,
    },
    /// A checkpoint that is whole.
    Checkpoint {
        /// Steps taken.
        step: u64,
    },
}

/// A validation loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AtDepth {
    /// Iterations of the core; 0 for a chain.
    pub r: usize,
    /// Mean loss a target.
    pub loss: f64,
}

impl Line {
    fn step(&self) -> u64 {
        match *self {
            Line::Step { step, .. } | Line::Validation { step, .. } | Line::Checkpoint { step } => step,
        }
    }
}

/// A run that is under way.
#[derive(Debug)]
pub struct Run {
    config: RunConfig,
    learner: Learner,
    optimizer: Optimizer,
    gradients: Gradients,
    train: Vec<Encoded>,
    valid: Vec<Encoded>,
    beside: BTreeMap<String, Vec<u8>>,
    checkpoints: Checkpoints,
    log: Journal,
    step: u64,
    best: Option<(f64, u64)>,
}

impl Run {
    /// Begins in folder `out`, or goes on where a run of the same configuration there stopped.
    ///
    /// # Errors
    /// Files that are missing or malformed; a folder of another run; a problem that has no room in the context.
    pub fn open(config: RunConfig, out: &Path, device: &Device) -> Result<Self> {
        let folder = Folder::open(&config.model.folder)?;
        let network = Config::read(&folder)?;
        let defaults = GenerationDefaults::read(&folder)?;
        let tokenizer = Tokenizer::read(&folder)?
            .ok_or_else(|| fathom_model::Error::MissingFile { path: folder.path_of("tokenizer.json") })?;
        let ids = SpecialIds::resolve(&network, &defaults, Some(&tokenizer), &folder.path_of("config.json"))?;
        let chain = matches!(config.method, Method::Coconut { .. });
        let dialogue = Dialogue::new(&tokenizer, &ids, chain.then_some(Kind::Coconut));
        let encode = |path: &Path| -> Result<Vec<Encoded>> {
            let encode = |problem| Encoded::new(problem, &dialogue, &tokenizer, &ids, chain);
            data::read(path, Worked::Annotations)?.examples.iter().map(encode).collect()
        };
        let (train, mut valid) = (encode(&config.data.train)?, encode(&config.data.valid)?);
        valid.truncate(config.data.validate);
        let longest = train.iter().chain(&valid).map(Encoded::len).max().unwrap_or(0);
        if longest + thoughts(&config.method) > network.context() {
            let what = format!("a problem of {longest} tokens for a context of {}", network.context());
            return Err(Error::Option { option: "data", what });
        }
        let weights = config.model.weights.then(|| Checkpoint::open(&folder)).transpose()?;
        let learner = Learner::new(&config.method, &network, &ids, (config.seed, weights.as_ref()), device)?;
        let OptimizerConfig { rule, lr, clip } = config.optimizer;
        let optimizer = Optimizer::new(rule, lr, clip, learner.parameters())?;
        let mut beside = BTreeMap::new();
        for name in BESIDE {
            if let Some(bytes) = folder.read(name)? {
                beside.insert(name.to_owned(), bytes.to_vec());
            }
        }
        let gradients = learner.parameters().gradients()?;
        let checkpoints = Checkpoints::new(&out.join("checkpoints"))?;
        let mut run = Self {
            config,
            learner,
            optimizer,
            gradients,
            train,
            valid,
            beside,
            checkpoints,
            log: Journal::new(&out.join(LOG)),
            step: 0,
            best: None,
        };
        run.go_on()?;
        Ok(run)
    }

    fn go_on(&mut self) -> Result<()> {
        let Some(last) = self.checkpoints.last()? else { return self.cut_log(None) };
        let optimizer = &mut self.optimizer;
        let mut state = None;
        self.learner.update(|parameters| {
            state = Some(resume(&last, parameters, optimizer)?);
            Ok(())
        })?;
        if let Some(state) = state {
            if state.config != self.config.text()? {
                let what = format!("{} is of another configuration", last.display());
                return Err(Error::Option { option: "out", what });
            }
            (self.step, self.best) = (state.step, state.best);
        }
        self.cut_log(Some(self.step))
    }

    /// Leaves out of the log what came after the checkpoint at `step`, or all of it: it comes again.
    fn cut_log(&self, step: Option<u64>) -> Result<()> {
        self.log.cut(|line: &Line| Some(line.step()) <= step)
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps in all.
    pub fn steps(&self) -> u64 {
        self.config.steps
    }

    /// Elements of all parameters.
    pub fn parameters(&self) -> usize {
        self.learner.parameters().elements()
    }

    /// Goes on to the last step, and tells `heard` each line that goes to the log, and each step.
    ///
    /// # Errors
    /// A value that is not finite, with the step and the last checkpoint; files that cannot be written.
    pub fn finish(&mut self, mut heard: impl FnMut(u64, Option<&Line>)) -> Result<PathBuf> {
        if self.step == 0 {
            self.tell(self.validation()?, &mut heard)?;
        }
        let (mut since, mut losses, mut tokens) = (Instant::now(), Vec::new(), 0);
        while self.step < self.config.steps {
            let (loss, norm) = self.take_step().map_err(|error| self.at_step(error))?;
            losses.push(loss.mean);
            tokens += loss.tokens;
            heard(self.step, None);
            let Progress { log, validate, checkpoint } = self.config.progress;
            let last = self.step == self.config.steps;
            if last || self.step.is_multiple_of(log) {
                let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                let speed = tokens as f64 / since.elapsed().as_secs_f64();
                let lr = self.config.optimizer.lr * self.share();
                self.tell(Line::Step { step: self.step, loss: mean, norm, lr, speed }, &mut heard)?;
                (losses, tokens) = (Vec::new(), 0);
            }
            if last || self.step.is_multiple_of(validate) {
                self.tell(self.validation()?, &mut heard)?;
            }
            if last || self.step.is_multiple_of(checkpoint) {
                self.write_checkpoint()?;
                self.tell(Line::Checkpoint { step: self.step }, &mut heard)?;
            }
            if self.step.is_multiple_of(log) {
                since = Instant::now();
            }
        }
        Ok(self.checkpoints.path(self.step))
    }

    fn take_step(&mut self) -> Result<(learner::Loss, f64)> {
        let Self { config, learner, optimizer, gradients, train, .. } = self;
        if learner.begins_anew(self.step) {
            let OptimizerConfig { rule, lr, clip } = config.optimizer;
            *optimizer = Optimizer::new(rule, lr, clip, learner.parameters())?;
        }
        gradients.clear()?;
        let seed = config.seed;
        let of_epoch = |epoch: u64| key(seed, &[epoch as u32, (epoch >> 32) as u32], Stream::Order);
        let chosen = problems::batch(of_epoch, train.len(), config.batch, self.step);
        let batch: Vec<&Encoded> = chosen.into_iter().map(|index| &train[index]).collect();
        let loss = learner.learn(&batch, (seed, self.step), gradients)?;
        if !loss.mean.is_finite() {
            return Err(Error::NotFinite { tensor: "the loss".into() });
        }
        let share = config.schedule.at(self.step + 1, config.steps);
        let mut norm = 0.0;
        learner.update(|parameters| {
            norm = optimizer.step(parameters, gradients, share)?;
            Ok(())
        })?;
        self.step += 1;
        Ok((loss, norm))
    }

    fn share(&self) -> f64 {
        self.config.schedule.at(self.step, self.config.steps)
    }

    fn at_step(&self, error: Error) -> Error {
        let Error::NotFinite { tensor } = error else { return error };
        let last = self.checkpoints.last().ok().flatten();
        let last = last.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        let tensor = format!("at step {}, with {last} the last good checkpoint, {tensor}", self.step + 1);
        Error::NotFinite { tensor }
    }

    fn validation(&self) -> Result<Line> {
        let depths = match &self.config.method {
            Method::RecurrentDepth { validate_at, .. } => validate_at.clone(),
            Method::Coconut { .. } => vec![0],
        };
        let at = (self.config.seed, self.step.saturating_sub(1));
        let mut losses = Vec::with_capacity(depths.len());
        for r in depths {
            let (mut sum, mut problems) = (0.0, 0);
            for batch in self.valid.chunks(self.config.batch) {
                let batch: Vec<&Encoded> = batch.iter().collect();
                sum += self.learner.judge(&batch, at, r)?.mean * batch.len() as f64;
                problems += batch.len();
            }
            losses.push(AtDepth { r, loss: sum / problems as f64 });
        }
        Ok(Line::Validation { step: self.step, losses })
    }

    fn write_checkpoint(&mut self) -> Result<()> {
        let state = State {
            step: self.step,
            optimizer_step: self.optimizer.taken(),
            config: self.config.text()?,
            best: self.best,
        };
        let parameters = self.learner.parameters();
        self.checkpoints.write(&state, parameters, &self.optimizer, &self.beside, &[])?;
        Ok(())
    }

    fn tell(&self, line: Line, heard: &mut impl FnMut(u64, Option<&Line>)) -> Result<()> {
        self.log.append(&line)?;
        heard(self.step, Some(&line));
        Ok(())
    }
}

/// Thoughts at most.
fn thoughts(method: &Method) -> usize {
    match method {
        Method::RecurrentDepth { .. } => 0,
        Method::Coconut { stages, .. } => stages.iter().map(|stage| stage.thoughts).max().unwrap_or(0),
    }
}
