//! A run of training: from a configuration and two files of problems to checkpoints that load everywhere.
//!
//! Step t is a function of the configuration and t alone: the problems, the draws, the number of iterations. So a run that was
//! stopped at any moment goes on from its last checkpoint to the same weights, bit for bit on the CPU.

mod config;
mod learner;
mod line;
mod method;
mod packing;
pub(crate) mod problems;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use fathom::{Device, ops::square_sum::square_sum};
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, GenerationDefaults, SpecialIds},
    folder::Folder,
    tokenizer::Tokenizer,
};

pub use config::{DataConfig, ModelConfig, OptimizerConfig, Progress, RunConfig};
pub use line::{AtDepth, LOG, Line, Part};
pub use method::{Method, Packing, Stage, Targets};

use self::{
    learner::{At, Learner},
    problems::{Encoded, Encoder},
};
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

/// A run that is under way.
#[derive(Debug)]
pub struct Run {
    config: RunConfig,
    learner: Box<dyn Learner>,
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
        let encoder = Encoder::new(&config.method, &tokenizer, &ids);
        let encode = |path: &Path| -> Result<Vec<Encoded>> {
            data::read(path, Worked::Annotations)?.examples.iter().map(|one| encoder.encode(one)).collect()
        };
        let (train, mut valid) = (encode(&config.data.train)?, encode(&config.data.valid)?);
        valid.truncate(config.data.validate);
        check_lengths(&config.method, network.context(), [&train, &valid])?;
        let weights = config.model.weights.then(|| Checkpoint::open(&folder)).transpose()?;
        let begun = (config.seed, weights.as_ref());
        let mut learner = learner::new(&config.method, &network, &ids, begun, device)?;
        learner.prepare(&train)?;
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
        self.learner.update(&mut |parameters| {
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
        self.checkpoints.drop_others(self.step, &[])?;
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
            self.validate(&mut heard)?;
        }
        let mut since = Instant::now();
        let mut taken: Vec<learner::Loss> = Vec::new();
        while self.step < self.config.steps {
            let (loss, norm) = self.take_step().map_err(|error| self.at_step(self.step + 1, error))?;
            taken.push(loss);
            heard(self.step, None);
            let Progress { log, validate, checkpoint } = self.config.progress;
            let last = self.step == self.config.steps;
            if last || self.step.is_multiple_of(log) {
                let lr = self.config.optimizer.lr * self.share();
                let (loss, parts, tokens) = learner::mean(&std::mem::take(&mut taken));
                let speed = tokens as f64 / since.elapsed().as_secs_f64();
                self.tell(Line::Step { step: self.step, loss, norm, lr, speed, parts }, &mut heard)?;
            }
            if last || self.step.is_multiple_of(validate) {
                self.validate(&mut heard)?;
            }
            if last || self.step.is_multiple_of(checkpoint) {
                self.write_checkpoint().map_err(|error| self.at_step(self.step, error))?;
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
        let at = At { seed: config.seed, step: self.step, batch: config.batch };
        let loss = learner.learn(train, at, gradients)?;
        if !loss.mean.is_finite() {
            return Err(Error::NotFinite { tensor: "the loss".into() });
        }
        let share = config.schedule.at(self.step + 1, config.steps);
        let mut norm = 0.0;
        learner.update(&mut |parameters| {
            norm = optimizer.step(parameters, gradients, share)?;
            Ok(())
        })?;
        self.step += 1;
        Ok((loss, norm))
    }

    fn share(&self) -> f64 {
        self.config.schedule.at(self.step, self.config.steps)
    }

    fn at_step(&self, step: u64, error: Error) -> Error {
        let Error::NotFinite { tensor } = error else { return error };
        let last = self.checkpoints.last().ok().flatten();
        let last = last.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        let tensor = format!("at step {step}, with {last} the last good checkpoint, {tensor}");
        Error::NotFinite { tensor }
    }

    fn validate(&self, heard: &mut impl FnMut(u64, Option<&Line>)) -> Result<()> {
        let RunConfig { seed, batch, .. } = self.config;
        let at = At { seed, step: self.step.saturating_sub(1), batch };
        let losses = self.learner.judge(&self.valid, at)?;
        if !losses.iter().all(|one| one.loss.is_finite()) {
            return Err(self.at_step(self.step, Error::NotFinite { tensor: "the validation loss".into() }));
        }
        self.tell(Line::Validation { step: self.step, losses }, heard)
    }

    fn write_checkpoint(&mut self) -> Result<()> {
        let state = State {
            step: self.step,
            optimizer_step: self.optimizer.taken(),
            config: self.config.text()?,
            best: self.best,
        };
        let parameters = self.learner.parameters();
        for id in parameters.ids() {
            if !square_sum(&parameters[id])?.is_finite() {
                let tensor = parameters.name(id).to_owned();
                return Err(Error::NotFinite { tensor });
            }
        }
        self.checkpoints.write(&state, parameters, &self.optimizer, &self.beside, &[])?;
        Ok(())
    }

    fn tell(&self, line: Line, heard: &mut impl FnMut(u64, Option<&Line>)) -> Result<()> {
        self.log.append(&line)?;
        heard(self.step, Some(&line));
        Ok(())
    }
}

/// Every sequence has to fit the context.
fn check_lengths(method: &Method, context: usize, [train, valid]: [&[Encoded]; 2]) -> Result<()> {
    let longest = |problems: &[Encoded]| problems.iter().map(Encoded::len).max().unwrap_or(0);
    let (longest, row) = match method {
        Method::RecurrentDepth { packing: Some(packing), .. } => (longest(valid), packing.length),
        _ => (longest(train).max(longest(valid)), 0),
    };
    if longest + method.thoughts() > context {
        let what = format!("a problem of {longest} tokens for a context of {context}");
        return Err(Error::Option { option: "data", what });
    }
    if row > context {
        let what = format!("rows of {row} tokens for a context of {context}");
        return Err(Error::Option { option: "method.packing", what });
    }
    Ok(())
}
