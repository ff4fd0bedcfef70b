//! Latent chain-of-thought: thoughts are fed back as in inference, and the loss of what follows them flows through all
//! of them (spec latenttts §1.1; COCONUT, arXiv 2412.06769).

use fathom::{
    Device, Keep, Tensor,
    ops::embedding::Input,
    random::{Coordinates, Draw},
};
use fathom_model::{
    checkpoint::Checkpoint,
    config::Config,
    pass::{Disturbance, DropSites},
};

use crate::{
    error::{Error, Result},
    network::{
        Cache,
        body::{self, Body, Inner},
        feedback::{Feedback, SavedFeedback},
        head, scatter,
    },
    parameters::{Gradients, Parameters, Source},
    segment::{Batch, Segment},
};

/// A question that is thought about and answered.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Tokens up to the first thought; none are needed where there is no thought.
    pub prompt: &'a [u32],
    /// Tokens behind the last thought, of which each but the first is a target: what closes the thoughts, the steps that are
    /// still written, the answer, the end of the sequence.
    pub tail: &'a [u32],
}

/// Dropout while it learns.
#[derive(Debug, Clone, Copy)]
pub struct Dropout {
    /// Probability that an element is dropped.
    pub p: f32,
    /// Key of the step's draws; the trajectory is the example's index.
    pub key: u64,
}

/// A latent chain that learns.
#[derive(Debug)]
pub struct Chain {
    pub(super) parameters: Parameters,
    pub(super) body: Body,
    pub(super) feedback: Feedback,
}

/// A pass that went forward.
struct Passed {
    segment: Segment,
    disturbance: Disturbance<'static>,
    saved: body::Saved,
    states: Tensor,
}

/// Examples that went forward through all passes: what the way back needs.
pub(super) struct Course<'e> {
    pub(super) examples: &'e [Example<'e>],
    /// Thoughts.
    steps: usize,
    targets: usize,
    caches: Vec<Cache>,
    passes: Vec<Passed>,
    latents: Vec<Tensor>,
    thoughts: Vec<Thought>,
}

impl Course<'_> {
    /// The last row of each example in the last pass.
    pub(super) fn ends(&self) -> Vec<usize> {
        ends(&fed(self.examples, self.steps, &self.latents, self.steps))
    }

    /// Outputs of all blocks at rows of the last pass, that of the last one behind the final norm.
    pub(super) fn outputs(&self, rows: &[usize]) -> Result<Vec<Tensor>> {
        let Passed { saved, states, .. } = &self.passes[self.steps];
        let select = |of: &Tensor| {
            let mut out = Tensor::empty(of.device());
            of.select(rows, &mut out)?;
            Ok(out)
        };
        saved.inner().chain([states]).map(select).collect()
    }
}

/// A loss with what it read: rows of the last pass, and the gradient of their states.
pub(super) struct Answer {
    pub(super) loss: f64,
    rows: Vec<usize>,
    dhidden: Tensor,
}

/// Thoughts that came out of a pass: what the way back needs.
struct Thought {
    states: Tensor,
    saved: SavedFeedback,
}

impl Chain {
    /// One whose parameters begin as `source` says.
    ///
    /// # Errors
    /// Tensors that are missing or of other shapes; no memory on the device.
    pub fn new(config: &Config, source: &mut dyn Source, device: &Device) -> Result<Self> {
        let mut parameters = Parameters::new(device);
        let body = Body::new(config, &mut parameters, source)?;
        let feedback = Feedback::new(config, &mut parameters, source)?;
        Ok(Self { parameters, body, feedback })
    }

    /// That of a checkpoint.
    ///
    /// # Errors
    /// As [`Chain::new`].
    pub fn load(config: &Config, checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
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
        self.body.pack(&self.parameters)?;
        self.feedback.pack(&self.parameters)
    }

    /// The mean of −log p over the targets behind `steps` thoughts; its gradients are added, through every thought.
    ///
    /// # Errors
    /// An empty prompt before thoughts; no target; a token outside the vocabulary, or a position outside the context.
    pub fn loss(
        &self,
        examples: &[Example<'_>],
        steps: usize,
        dropout: Option<Dropout>,
        gradients: Option<&mut Gradients>,
    ) -> Result<f64> {
        let mut course = self.forward(examples, steps, dropout)?;
        let Some(gradients) = gradients else { return Ok(self.answer(&course, 0.0, None)?.loss) };
        let answer = self.answer(&course, 1.0, Some(gradients))?;
        let loss = answer.loss;
        self.backward(&mut course, answer, Inner::default(), gradients)?;
        Ok(loss)
    }

    /// All passes over the examples.
    pub(super) fn forward<'e>(
        &self,
        examples: &'e [Example<'e>],
        steps: usize,
        dropout: Option<Dropout>,
    ) -> Result<Course<'e>> {
        let Self { parameters, body, feedback } = self;
        let begins = |one: &Example<'_>| !one.tail.is_empty() && (steps == 0 || !one.prompt.is_empty());
        let targets: usize = examples.iter().map(|example| example.tail.len().saturating_sub(1)).sum();
        if targets == 0 || !examples.iter().all(begins) {
            let what = format!("{} with {targets} targets, or an empty prompt", examples.len());
            return Err(Error::Option { option: "examples", what });
        }
        let mut batch = Batch::new(examples.iter().map(|one| one.prompt.len() + steps + one.tail.len() - 1));
        let caches = body.caches(parameters, batch.places())?;
        let (passes, latents, thoughts) = (Vec::new(), Vec::new(), Vec::new());
        let mut course = Course { examples, steps, targets, caches, passes, latents, thoughts };
        for index in 0..=steps {
            let inputs = fed(examples, steps, &course.latents, index);
            let passed = self.pass(&mut batch, &inputs, dropout, &mut course.caches)?;
            if index < steps {
                let mut states = Tensor::empty(parameters.device());
                passed.states.select(&ends(&inputs), &mut states)?;
                let (latent, saved) = feedback.forward(parameters, &states)?;
                course.thoughts.push(Thought { states, saved });
                course.latents.push(latent);
            }
            course.passes.push(passed);
        }
        Ok(course)
    }

    /// What the last pass says about the targets; the head's gradients of `weight` times it are added.
    pub(super) fn answer(
        &self,
        course: &Course<'_>,
        weight: f64,
        gradients: Option<&mut Gradients>,
    ) -> Result<Answer> {
        let Course { examples, steps, targets, latents, passes, .. } = course;
        let (rows, wanted) = read(examples, &fed(examples, *steps, latents, *steps));
        let [mut hidden, mut dhidden] = [(); 2].map(|()| Tensor::empty(self.parameters.device()));
        passes[*steps].states.select(&rows, &mut hidden)?;
        let scale = (weight / *targets as f64) as f32;
        let into = gradients.map(|gradients| (gradients, &mut dhidden));
        let loss = head::loss(self.body.head(), &hidden, &wanted, scale, into)? / *targets as f64;
        Ok(Answer { loss, rows, dhidden })
    }

    /// Back through all passes, from the answer and from what else was read of the last pass.
    pub(super) fn backward(
        &self,
        course: &mut Course<'_>,
        answer: Answer,
        inner: Inner<'_>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let Self { parameters, body, feedback } = self;
        let Course { examples, steps, caches, passes, latents, thoughts, .. } = course;
        let Answer { mut rows, dhidden: mut dread, .. } = answer;
        for (index, passed) in passes.iter().enumerate().rev() {
            let inputs = fed(examples, *steps, latents, index);
            let mut dstates = Tensor::zeros(parameters.device(), passed.states.rows(), body.width())?;
            scatter(&mut dstates, &rows, &dread)?;
            let mut read = Inner::default();
            if let Some((last, blocks)) = inner.blocks.split_last().filter(|_| index == *steps) {
                read = Inner { blocks, ..inner };
                scatter(&mut dstates, inner.rows, last)?;
            }
            let Passed { segment, disturbance, saved, .. } = passed;
            let dx = body.backward_of_all(
                parameters,
                &inputs.concat(),
                segment,
                disturbance,
                saved,
                (&dstates, read),
                caches,
                gradients,
            )?;
            if index > 0 {
                let mut dlatent = Tensor::empty(parameters.device());
                dx.select(&beginnings(&inputs), &mut dlatent)?;
                let Thought { states, saved } = &thoughts[index - 1];
                dread = feedback.backward(parameters, states, saved, dlatent, gradients)?;
                rows = ends(&fed(examples, *steps, latents, index - 1));
            }
        }
        Ok(())
    }

    /// States of the next inputs of each sequence.
    fn pass(
        &self,
        batch: &mut Batch,
        inputs: &[Vec<Input<'_>>],
        dropout: Option<Dropout>,
        caches: &mut [Cache],
    ) -> Result<Passed> {
        let segment = batch.next(inputs.iter().map(Vec::len));
        let disturbance = dropout.map_or(Disturbance::None, |dropout| dropout.of(inputs, &segment));
        let (states, saved) =
            self.body.forward(&self.parameters, &inputs.concat(), &segment, &disturbance, caches)?;
        Ok(Passed { segment, disturbance, saved, states })
    }
}

impl Dropout {
    /// It at the rows of a pass.
    pub(super) fn of(self, inputs: &[Vec<Input<'_>>], segment: &Segment) -> Disturbance<'static> {
        let examples = inputs.iter().enumerate().flat_map(|(index, one)| one.iter().map(move |_| index));
        let rows = examples.zip(&segment.positions).map(|(index, &position)| Coordinates {
            draw: Draw { key: self.key, trajectory: index as u32 },
            position,
            iteration: 0,
        });
        Disturbance::Dropout {
            keep: Keep::new(self.p),
            sites: DropSites { embedding: true, attention: true, mlp: true, latent: false },
            rows: rows.collect(),
        }
    }
}

/// What pass `index` is fed: the prompt or the thought before, and behind the last thought all but the end of the tail.
fn fed<'a>(
    examples: &[Example<'a>],
    steps: usize,
    latents: &'a [Tensor],
    index: usize,
) -> Vec<Vec<Input<'a>>> {
    let tokens = |ids: &[u32]| ids.iter().map(|&id| Input::Token(id)).collect::<Vec<_>>();
    let of_one = |(row, example): (usize, &Example<'a>)| {
        let mut inputs = match index {
            0 => tokens(example.prompt),
            _ => vec![Input::Row(&latents[index - 1], row)],
        };
        if index == steps {
            inputs.extend(tokens(&example.tail[..example.tail.len() - 1]));
        }
        inputs
    };
    examples.iter().enumerate().map(of_one).collect()
}

/// The rows of the last pass that predict a target, with those.
fn read(examples: &[Example<'_>], inputs: &[Vec<Input<'_>>]) -> (Vec<usize>, Vec<Option<u32>>) {
    let mut end = 0;
    let of_one = |(example, inputs): (&Example<'_>, &Vec<Input<'_>>)| {
        end += inputs.len();
        let first = end + 1 - example.tail.len();
        (first..end).zip(example.tail[1..].iter().map(|&token| Some(token))).collect::<Vec<_>>()
    };
    examples.iter().zip(inputs).flat_map(of_one).unzip()
}

/// The first row of each sequence of a pass.
fn beginnings(inputs: &[Vec<Input<'_>>]) -> Vec<usize> {
    ends(inputs).into_iter().zip(inputs).map(|(end, inputs)| end + 1 - inputs.len()).collect()
}

/// The last row of each sequence of a pass.
fn ends(inputs: &[Vec<Input<'_>>]) -> Vec<usize> {
    let mut rows = 0;
    let end = |inputs: &Vec<Input<'_>>| {
        rows += inputs.len();
        rows - 1
    };
    inputs.iter().map(end).collect()
}
