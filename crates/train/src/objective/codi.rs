//! CODI's self-distillation (arXiv 2502.21074): one network answers behind steps that it writes and behind thoughts, and its
//! states before the answer are to be the same ones (spec latenttts §1.3).

use fathom::Tensor;

use super::chain::{Chain, Dropout, Example};
use crate::{
    error::{Error, Result},
    network::body::Inner,
    parameters::Gradients,
};

/// A question for teacher and student.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// Steps are written; its tail holds steps and answer, and no thought comes before.
    pub teacher: Example<'a>,
    /// Thoughts come instead.
    pub student: Example<'a>,
    /// Tokens at the end of both tails that answer: the token before these is where states are compared.
    pub answer: usize,
}

/// What a part of the loss counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// Of the teacher's cross-entropy.
    pub teacher: f64,
    /// Of the student's.
    pub student: f64,
    /// Of the distance of their states.
    pub states: f64,
}

/// The parts of the loss, without their factors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Losses {
    /// Mean of −log p over steps and answer.
    pub teacher: f64,
    /// Mean of −log p over the answer with the words before it.
    pub student: f64,
    /// Smooth L1 distance in standard deviations of the teacher's, mean over blocks.
    pub states: f64,
}

impl Chain {
    /// The losses of `thoughts` thoughts; the gradients of their sum by factors are added. None flow from the distance of states
    /// to the teacher. Dropout is the teacher's, then the student's.
    ///
    /// # Errors
    /// As [`Chain::loss`]; an answer that is as long as a tail.
    pub fn distil(
        &self,
        lessons: &[Lesson<'_>],
        thoughts: usize,
        factors: Factors,
        dropout: [Option<Dropout>; 2],
        mut gradients: Option<&mut Gradients>,
    ) -> Result<Losses> {
        let parts = |of: fn(&Lesson<'_>) -> usize| lessons.iter().any(|lesson| lesson.answer >= of(lesson));
        if parts(|one| one.teacher.tail.len()) || parts(|one| one.student.tail.len()) {
            return Err(Error::Option {
                option: "lessons",
                what: "an answer without a token before it".into(),
            });
        }
        let (teacher, targets) =
            self.teach(lessons, factors.teacher, dropout[0], gradients.as_deref_mut())?;
        let examples: Vec<Example<'_>> = lessons.iter().map(|lesson| lesson.student).collect();
        let how = (thoughts, dropout[1]);
        let (student, states) = self.imitate(lessons, &examples, how, factors, &targets, gradients)?;
        Ok(Losses { teacher, student, states })
    }

    /// The teacher's loss, and its states before the answer, a block each.
    pub(super) fn teach(
        &self,
        lessons: &[Lesson<'_>],
        factor: f64,
        dropout: Option<Dropout>,
        mut gradients: Option<&mut Gradients>,
    ) -> Result<(f64, Vec<Vec<f32>>)> {
        let examples: Vec<Example<'_>> = lessons.iter().map(|lesson| lesson.teacher).collect();
        let mut course = self.forward(&examples, 0, dropout)?;
        let answer = self.answer(&course, factor, gradients.as_deref_mut())?;
        let outputs = course.outputs(&compared(lessons, &course.ends()))?;
        let outputs = outputs.into_iter().map(Tensor::into_data).collect::<fathom::Result<_>>()?;
        let loss = answer.loss;
        if let Some(gradients) = gradients {
            self.backward(&mut course, answer, Inner::default(), gradients)?;
        }
        Ok((loss, outputs))
    }

    /// The student's loss, and the distance of its states from the teacher's.
    pub(super) fn imitate(
        &self,
        lessons: &[Lesson<'_>],
        examples: &[Example<'_>],
        (thoughts, dropout): (usize, Option<Dropout>),
        factors: Factors,
        targets: &[Vec<f32>],
        mut gradients: Option<&mut Gradients>,
    ) -> Result<(f64, f64)> {
        let mut course = self.forward(examples, thoughts, dropout)?;
        let answer = self.answer(&course, factors.student, gradients.as_deref_mut())?;
        let rows = compared(lessons, &course.ends());
        let outputs = course.outputs(&rows)?;
        let factor = factors.states / outputs.len() as f64;
        let (mut distance, mut blocks) = (0.0, Vec::with_capacity(outputs.len()));
        for (output, target) in outputs.iter().zip(targets) {
            let (of_one, gradient) = smooth_l1(&output.to_vec()?, target, factor);
            distance += of_one / outputs.len() as f64;
            blocks.push(Tensor::new(output.device(), output.rows(), output.width(), gradient)?);
        }
        let loss = answer.loss;
        if let Some(gradients) = gradients {
            self.backward(&mut course, answer, Inner { rows: &rows, blocks: &blocks }, gradients)?;
        }
        Ok((loss, distance))
    }
}

/// The rows before the answers, given the last row of each example: that is fed the answer but for its last token.
fn compared(lessons: &[Lesson<'_>], ends: &[usize]) -> Vec<usize> {
    ends.iter().zip(lessons).map(|(end, lesson)| end + 1 - lesson.answer).collect()
}

/// Mean of smooth L1 (β = 1) over all elements, divided by the standard deviation of the targets, with the gradient of `factor`
/// times it.
fn smooth_l1(x: &[f32], target: &[f32], factor: f64) -> (f64, Vec<f32>) {
    let count = target.len() as f64;
    let mean = target.iter().map(|&t| f64::from(t)).sum::<f64>() / count;
    let variance = target.iter().map(|&t| (f64::from(t) - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let unit = 1.0 / (variance.sqrt() * count);
    let mut sum = 0.0;
    let of_one = |(&x, &t): (&f32, &f32)| {
        let d = f64::from(x) - f64::from(t);
        sum += if d.abs() < 1.0 { 0.5 * d * d } else { d.abs() - 0.5 };
        (factor * unit * d.clamp(-1.0, 1.0)) as f32
    };
    let gradient = x.iter().zip(target).map(of_one).collect();
    (sum * unit, gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences of 1 and −3, whose smooth L1 are 0.5 and 2.5; targets of deviation 3/√2.
    #[test]
    fn a_known_distance() {
        let deviation = 3.0 / 2f64.sqrt();
        let (loss, gradient) = smooth_l1(&[1.0, 0.0], &[0.0, 3.0], 4.0);
        assert!((loss - 1.5 / deviation).abs() < 1e-12);
        for (got, expected) in gradient.iter().zip([2.0 / deviation, -2.0 / deviation]) {
            assert!((f64::from(*got) - expected).abs() < 1e-6, "{got} for {expected}");
        }
        let (_, gradient) = smooth_l1(&[0.25, 3.0], &[0.0, 3.0], 4.0);
        assert!((f64::from(gradient[0]) - 0.5 / deviation).abs() < 1e-6 && gradient[1] == 0.0);
    }
}
