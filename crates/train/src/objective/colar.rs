//! CoLaR's compressed chains (arXiv 2505.16552): the embeddings of r consecutive tokens of the steps become one input, and the
//! network is to foresee a token of the next group and, by its latent head, the group itself (spec latenttts §1.4).

use fathom::{Tensor, ops::embedding::Input};
use fathom_model::pass::Disturbance;

use super::chain::{Chain, Dropout};
use crate::{
    error::{Error, Result},
    network::{head, scatter},
    parameters::Gradients,
    segment::Batch,
};

/// A question with steps that are compressed and an answer that is not.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// Tokens up to the first thought, at least one.
    pub prompt: &'a [u32],
    /// Tokens of the steps, of which every r make a thought; the last one may have fewer.
    pub steps: &'a [u32],
    /// A token of each thought.
    pub labels: &'a [u32],
    /// Tokens behind the last thought, at least one: what ends the thoughts, the answer, the end of the sequence.
    pub tail: &'a [u32],
}

/// The parts of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Mean of −log p over the labels and the tails.
    pub tokens: f64,
    /// Mean square of what the latent head is off by, in units of the embeddings' deviation; 0 where there is no thought.
    pub latents: f64,
}

/// The thoughts of a batch, the tokens that make them up, and where they stand among the rows.
struct Thoughts<'a> {
    groups: Vec<&'a [u32]>,
    /// Σ E / √count of each, `[thoughts, h]`.
    inputs: Tensor,
    rows: Vec<usize>,
}

impl Chain {
    /// The losses of thoughts of `r` tokens each; the gradients of tokens + `factor` · latents are added. What the latent head is
    /// to foresee is a constant.
    ///
    /// # Errors
    /// A network without a latent head; no token where one has to be, or another number of labels; a token outside the vocabulary,
    /// or a position outside the context.
    pub fn compressed(
        &self,
        examples: &[Example<'_>],
        r: usize,
        factor: f64,
        dropout: Option<Dropout>,
        gradients: Option<&mut Gradients>,
    ) -> Result<Losses> {
        let Self { parameters, body, feedback } = self;
        let device = parameters.device();
        let Some(std) = feedback.std() else {
            return Err(Error::Option { option: "model", what: "has no latent head".into() });
        };
        let fits = |one: &Example<'_>| {
            let thoughts = one.labels.len() == one.steps.len().div_ceil(r.max(1));
            r > 0 && thoughts && !one.prompt.is_empty() && !one.tail.is_empty()
        };
        if examples.is_empty() || !examples.iter().all(fits) {
            let what = format!("{} of r = {r}, or one that is incomplete", examples.len());
            return Err(Error::Option { option: "examples", what });
        }
        let thoughts = self.thoughts(examples, r)?;
        let inputs = fed(examples, &thoughts.inputs);
        let lengths = || inputs.iter().map(Vec::len);
        let mut batch = Batch::new(lengths());
        let segment = batch.next(lengths());
        let mut caches = body.caches(parameters, batch.places())?;
        let disturbance = dropout.map_or(Disturbance::None, |dropout| dropout.of(&inputs, &segment));
        let flat = inputs.concat();
        let (states, saved) = body.forward(parameters, &flat, &segment, &disturbance, &mut caches)?;

        let (rows, wanted) = read(examples, &inputs);
        let [mut hidden, mut dhidden] = [(); 2].map(|()| Tensor::empty(device));
        states.select(&rows, &mut hidden)?;
        let count = wanted.len() as f64;
        let Some(gradients) = gradients else {
            let tokens = head::loss(body.head(), &hidden, &wanted, 0.0, None)? / count;
            return Ok(Losses { tokens, latents: self.foreseen(&states, &thoughts, std, None)?.0 });
        };
        let into = Some((&mut *gradients, &mut dhidden));
        let tokens = head::loss(body.head(), &hidden, &wanted, (1.0 / count) as f32, into)? / count;
        let mut dstates = Tensor::zeros(device, states.rows(), body.width())?;
        scatter(&mut dstates, &rows, &dhidden)?;
        let (latents, dread) = self.foreseen(&states, &thoughts, std, Some((factor, &mut *gradients)))?;
        if let Some(dread) = dread {
            scatter(&mut dstates, &before(&thoughts.rows), &dread)?;
        }
        let dx = body.backward(
            parameters,
            &flat,
            &segment,
            &disturbance,
            &saved,
            &dstates,
            &mut caches,
            gradients,
        )?;
        self.thoughts_backward(&thoughts, r, &dx, gradients)?;
        Ok(Losses { tokens, latents })
    }

    fn thoughts<'a>(&self, examples: &[Example<'a>], r: usize) -> Result<Thoughts<'a>> {
        let Self { parameters, body, .. } = self;
        let (mut groups, mut rows, mut first) = (Vec::new(), Vec::new(), 0);
        for one in examples {
            let of_one = one.steps.chunks(r);
            rows.extend((0..of_one.len()).map(|at| first + one.prompt.len() + at));
            first += one.prompt.len() + of_one.len() + one.tail.len() - 1;
            groups.extend(of_one);
        }
        let width = body.width();
        let embeddings = body.embeddings(parameters, &groups.concat())?.into_data()?;
        let mut next = embeddings.chunks(width.max(1));
        let mut inputs = vec![0.0; groups.len() * width];
        for (group, sum) in groups.iter().zip(inputs.chunks_mut(width.max(1))) {
            for embedding in next.by_ref().take(group.len()) {
                sum.iter_mut().zip(embedding).for_each(|(sum, x)| *sum += x);
            }
            let scale = root(group.len());
            sum.iter_mut().for_each(|sum| *sum *= scale);
        }
        let inputs = Tensor::new(parameters.device(), groups.len(), width, inputs)?;
        Ok(Thoughts { groups, inputs, rows })
    }

    /// The embeddings' gradients from those of the inputs that they were summed to.
    fn thoughts_backward(
        &self,
        thoughts: &Thoughts<'_>,
        r: usize,
        dx: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let mut of_tokens = Tensor::empty(dx.device());
        for count in 1..=r {
            let alike = thoughts.groups.iter().zip(&thoughts.rows).filter(|(group, _)| group.len() == count);
            let (ids, rows): (Vec<u32>, Vec<usize>) =
                alike.flat_map(|(group, &row)| group.iter().map(move |&id| (id, row))).unzip();
            dx.select(&rows, &mut of_tokens)?;
            self.body.embeddings_backward(&ids, &of_tokens, root(count), gradients)?;
        }
        Ok(())
    }

    /// The mean square of what the latent head is off by. Where its gradients of a factor times that are wanted, adds them, and
    /// gives those of the states before the thoughts.
    fn foreseen(
        &self,
        states: &Tensor,
        thoughts: &Thoughts<'_>,
        std: f32,
        gradients: Option<(f64, &mut Gradients)>,
    ) -> Result<(f64, Option<Tensor>)> {
        if thoughts.groups.is_empty() {
            return Ok((0.0, None));
        }
        let Self { parameters, feedback, .. } = self;
        let mut read = Tensor::empty(states.device());
        states.select(&before(&thoughts.rows), &mut read)?;
        let (out, saved) = feedback.forward(parameters, &read)?;
        let (rows, width) = (out.rows(), out.width());
        let off = |(&x, &target): (&f32, &f32)| (f64::from(x) - f64::from(target)) / f64::from(std);
        let (out, targets) = (out.into_data()?, thoughts.inputs.to_vec()?);
        let off: Vec<f64> = out.iter().zip(&targets).map(off).collect();
        let count = off.len() as f64;
        let loss = off.iter().map(|off| off * off).sum::<f64>() / count;
        let Some((factor, gradients)) = gradients else { return Ok((loss, None)) };
        let unit = 2.0 * factor / (count * f64::from(std));
        let dout = off.iter().map(|off| (unit * off) as f32).collect();
        let dout = Tensor::new(states.device(), rows, width, dout)?;
        Ok((loss, Some(feedback.backward(parameters, &read, &saved, dout, gradients)?)))
    }
}

/// 1/√count: what keeps the deviation of a sum of embeddings that of one.
fn root(count: usize) -> f32 {
    (count as f32).sqrt().recip()
}

/// The row before each thought.
fn before(rows: &[usize]) -> Vec<usize> {
    rows.iter().map(|row| row - 1).collect()
}

/// Prompt, thoughts, and the tail but for its last token.
fn fed<'a>(examples: &[Example<'a>], thoughts: &'a Tensor) -> Vec<Vec<Input<'a>>> {
    let tokens = |ids: &'a [u32]| ids.iter().map(|&id| Input::Token(id));
    let mut next = 0..thoughts.rows();
    let of_one = |one: &Example<'a>| {
        let latents = next.by_ref().take(one.labels.len()).map(|row| Input::Row(thoughts, row));
        tokens(one.prompt).chain(latents).chain(tokens(&one.tail[..one.tail.len() - 1])).collect()
    };
    examples.iter().map(of_one).collect()
}

/// From the prompt's last row on: what each row is to foresee.
fn read(examples: &[Example<'_>], inputs: &[Vec<Input<'_>>]) -> (Vec<usize>, Vec<Option<u32>>) {
    let mut end = 0;
    let of_one = |(one, inputs): (&Example<'_>, &Vec<Input<'_>>)| {
        let first = end + one.prompt.len() - 1;
        end += inputs.len();
        let wanted = one.labels.iter().chain(one.tail).map(|&token| Some(token));
        (first..end).zip(wanted).collect::<Vec<_>>()
    };
    examples.iter().zip(inputs).flat_map(of_one).unzip()
}
