//! A run: step t is a function of the configuration, the annotations and t alone, so that a run that was stopped at any
//! moment goes on from its last checkpoint to the same weights, bit for bit on the CPU.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use fathom::{
    DType, Device,
    random::{Stream, key},
};
use fathom_model::{folder::Folder, load::Model};

use super::{
    candidates::{Trials, rows},
    config::{Labels, Loss, RewardConfig},
    log::{Accuracy, Line},
    network::begin,
};
use crate::{
    annotate::{
        Setup, placeholder,
        shards::{Annotations, Labelled},
    },
    checkpoint::{Checkpoints, State, publish, resume},
    error::{Error, Result},
    journal::Journal,
    objective::reward::{self, Reward, Thoughts, binary, contrastive},
    optimizer::Optimizer,
    parameters::Gradients,
    run::{LOG, Progress, problems::batch},
};

/// The folder of the best checkpoint in a run's folder.
const BEST: &str = "best";

/// A run that is under way.
#[derive(Debug)]
pub struct RewardRun {
    config: RewardConfig,
    /// What the run goes on under alone: the configuration, and what its annotations depend on.
    text: String,
    model: Reward,
    optimizer: Optimizer,
    gradients: Gradients,
    annotations: Annotations,
    kept: Vec<usize>,
    latent: u32,
    trials: Trials,
    beside: BTreeMap<String, Vec<u8>>,
    checkpoints: Checkpoints,
    log: Journal,
    out: PathBuf,
    step: u64,
    best: Option<(f64, u64)>,
}

impl RewardRun {
    /// Begins in folder `out`, or goes on where a run of the same configuration there stopped. Trajectories to validate on are
    /// drawn here; `heard` is told of how many of the questions they are.
    ///
    /// # Errors
    /// Files that are missing or malformed; annotations that are unfinished or of another width; a folder of another run.
    pub fn open(
        config: RewardConfig,
        out: &Path,
        device: &Device,
        heard: impl FnMut(usize, usize),
    ) -> Result<Self> {
        let setups: Vec<Vec<Setup>> =
            config.annotations.iter().map(|folder| Setup::of_folder(folder)).collect::<Result<_>>()?;
        let text = serde_json::to_string(&(&config, setups))
            .map_err(|error| Error::Option { option: "config", what: error.to_string() })?;
        let annotations = Annotations::open(&config.annotations)?;
        let folder = Folder::open(&config.model)?;
        let (mut model, beside) = begin(&folder, &config, device)?;
        let [_, width] = annotations.latent_shape()?;
        if width != model.width() {
            let what = format!("have latents of {width} channels, the model's have {}", model.width());
            return Err(Error::Option { option: "annotations", what });
        }
        let mut optimizer = Optimizer::new(
            config.optimizer.rule,
            config.optimizer.lr,
            config.optimizer.clip,
            model.parameters(),
        )?;
        let checkpoints = Checkpoints::new(&out.join("checkpoints"))?;
        let (mut step, mut best) = (0, None);
        let last = checkpoints.last()?;
        if let Some(last) = &last {
            let mut state = None;
            model.update(|parameters| {
                state = Some(resume(last, parameters, &mut optimizer)?);
                Ok(())
            })?;
            if let Some(state) = state {
                if state.config != text {
                    let what = format!("{} is of another configuration or annotation", last.display());
                    return Err(Error::Option { option: "out", what });
                }
                (step, best) = (state.step, state.best);
            }
        }
        let generator = Model::load(&folder, device, DType::F32)?;
        let log = Journal::new(&out.join(LOG));
        // What came after the last checkpoint comes again.
        let after = last.map(|_| step);
        log.cut(|line: &Line| Some(line.step()) <= after)?;
        let trials = Trials::draw(&generator, &config.validation, device, heard)?;
        Ok(Self {
            gradients: model.parameters().gradients()?,
            kept: annotations.kept().collect(),
            latent: placeholder(&generator),
            log,
            out: out.to_owned(),
            config,
            text,
            model,
            optimizer,
            annotations,
            trials,
            beside,
            checkpoints,
            step,
            best,
        })
    }

    /// Steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Steps in all.
    pub fn steps(&self) -> u64 {
        self.config.steps
    }

    /// Questions that it learns from.
    pub fn questions(&self) -> usize {
        self.kept.len()
    }

    /// Elements of all parameters.
    pub fn parameters(&self) -> usize {
        self.model.parameters().elements()
    }

    /// The best validation so far: its accuracy and step.
    pub fn best(&self) -> Option<(f64, u64)> {
        self.best
    }

    /// Goes on to the last step, or to the end of patience, and tells `heard` each line that goes to the log, and each step;
    /// returns the folder of the best checkpoint.
    ///
    /// # Errors
    /// A value that is not finite, with the step and the last checkpoint; files that cannot be written.
    pub fn finish(&mut self, mut heard: impl FnMut(u64, Option<&Line>)) -> Result<PathBuf> {
        if self.step == 0 {
            self.validate(&mut heard)?;
        }
        let Progress { log, validate, checkpoint } = self.config.progress;
        let (mut since, mut losses, mut trajectories) = (Instant::now(), Vec::new(), 0);
        while self.step < self.config.steps && !self.is_patience_over() {
            let (loss, norm, count) = self.take_step().map_err(|error| self.at_step(error))?;
            losses.push(loss);
            trajectories += count;
            heard(self.step, None);
            let mut last = self.step == self.config.steps;
            let seconds = since.elapsed().as_secs_f64();
            if last || self.step.is_multiple_of(validate) {
                self.validate(&mut heard)?;
                last |= self.is_patience_over();
            }
            if last || self.step.is_multiple_of(log) {
                let loss = losses.iter().sum::<f64>() / losses.len() as f64;
                let lr = self.config.optimizer.lr * self.share(self.step);
                let speed = trajectories as f64 / seconds;
                self.tell(Line::Step { step: self.step, loss, norm, lr, speed }, &mut heard)?;
                (losses, trajectories) = (Vec::new(), 0);
            }
            if last || self.step.is_multiple_of(checkpoint) {
                self.write_checkpoint()?;
                self.tell(Line::Checkpoint { step: self.step }, &mut heard)?;
            }
            if self.step.is_multiple_of(log) {
                since = Instant::now();
            }
        }
        Ok(self.out.join(BEST))
    }

    fn is_patience_over(&self) -> bool {
        let best = self.best.map_or(0, |(_, step)| step);
        let validations = (self.step - best) / self.config.progress.validate;
        self.config.patience.is_some_and(|patience| validations >= patience)
    }

    /// Loss, norm of the gradients, number of trajectories.
    fn take_step(&mut self) -> Result<(f64, f64, usize)> {
        let Self { config, model, optimizer, gradients, annotations, kept, latent, .. } = self;
        gradients.clear()?;
        let of_epoch = |epoch: u64| key(config.seed, &[epoch as u32, (epoch >> 32) as u32], Stream::Order);
        let chosen = batch(of_epoch, kept.len(), config.batch, self.step);
        let device = model.parameters().device().clone();
        let read = |index: usize| annotations.read(kept[index], *latent, &device);
        let questions: Vec<Labelled> = chosen.into_iter().map(read).collect::<Result<_>>()?;
        let thoughts: Vec<Thoughts<'_>> = questions.iter().map(inputs).collect();
        let judge = |scores: &[Vec<f32>]| judge(config.loss, config.labels, &questions, scores);
        let loss = model.loss(&thoughts, judge, gradients)?;
        if !loss.is_finite() {
            return Err(Error::NotFinite { tensor: "the loss".into() });
        }
        let share = config.schedule.at(self.step + 1, config.steps);
        let mut norm = 0.0;
        model.update(|parameters| {
            norm = optimizer.step(parameters, gradients, share)?;
            Ok(())
        })?;
        self.step += 1;
        Ok((loss, norm, questions.iter().map(|question| question.correct.len()).sum()))
    }

    /// The first of equally good checkpoints is kept.
    fn validate(&mut self, heard: &mut impl FnMut(u64, Option<&Line>)) -> Result<()> {
        let accuracy = Accuracy::of(&self.trials.choices(&self.model, self.config.loss.step_score())?);
        if self.best.is_none_or(|(best, _)| accuracy.best_of_n > best) {
            self.best = Some((accuracy.best_of_n, self.step));
            publish(&self.out.join(BEST), self.model.parameters(), &self.beside)?;
        }
        self.tell(Line::Validation { step: self.step, accuracy }, heard)
    }

    fn share(&self, step: u64) -> f64 {
        self.config.schedule.at(step, self.config.steps)
    }

    fn at_step(&self, error: Error) -> Error {
        let Error::NotFinite { tensor } = error else { return error };
        let last = self.checkpoints.last().ok().flatten();
        let last = last.map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        let tensor = format!("at step {}, with {last} the last good checkpoint, {tensor}", self.step + 1);
        Error::NotFinite { tensor }
    }

    fn write_checkpoint(&mut self) -> Result<()> {
        let state = State {
            step: self.step,
            optimizer_step: self.optimizer.taken(),
            config: self.text.clone(),
            best: self.best,
        };
        self.checkpoints.write(&state, self.model.parameters(), &self.optimizer, &self.beside, &[])?;
        Ok(())
    }

    fn tell(&self, line: Line, heard: &mut impl FnMut(u64, Option<&Line>)) -> Result<()> {
        self.log.append(&line)?;
        heard(self.step, Some(&line));
        Ok(())
    }
}

fn inputs(question: &Labelled) -> Thoughts<'_> {
    let stride = question.latents.rows() / question.lengths.len().max(1);
    let lengths = question.lengths.iter().map(|&length| (length, stride));
    Thoughts { prompt: &question.prompt, trajectories: rows(&question.latents, lengths) }
}

/// The mean over questions and steps of their thoughts, or over logits, with its gradients (spec latenttts §3.4, §9.20).
fn judge(loss: Loss, labels: Labels, questions: &[Labelled], scores: &[Vec<f32>]) -> (f64, Vec<Vec<f64>>) {
    let (mut sum, mut count, mut gradients) = (0.0, 0, Vec::with_capacity(scores.len()));
    let mut first = 0;
    for question in questions {
        let scores = &scores[first..first + question.lengths.len()];
        first += question.lengths.len();
        let of_ends = question.correct.iter().zip(&question.lengths);
        let of_ends = of_ends.map(|(&right, &length)| vec![f32::from(u8::from(right)); length]);
        let labels = match labels {
            Labels::Rollouts => question.estimations.clone(),
            Labels::Final => of_ends.collect(),
        };
        let labelled = reward::Labelled { scores, labels: &labels };
        let lengths = question.lengths.iter().copied();
        let (terms, (loss, of_scores)) = match loss {
            Loss::Contrastive => (lengths.max().unwrap_or(0), contrastive(labelled)),
            Loss::Bce => (lengths.sum(), binary(labelled)),
        };
        sum += loss;
        count += terms;
        gradients.extend(of_scores);
    }
    let scale = 1.0 / (count as f64).max(1.0);
    gradients.iter_mut().flatten().for_each(|gradient| *gradient *= scale);
    (sum * scale, gradients)
}
