//! Gradients beside finite differences, on the fixtures' networks.

use std::path::Path;

use fathom::{
    Device, Tensor,
    ops::embedding::Input,
    random::{Coordinates, Draw, Site, fill_normals},
};
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, HuginnConfig},
    folder::Folder,
};

use super::{
    chain::{Chain, Example},
    codi::{Factors, Lesson},
    colar,
    reward::{Reward, Thoughts},
};
use crate::{
    initial::Initial,
    parameters::{Gradients, Id, Parameters},
};

fn fixture(name: &str) -> Chain {
    let folder = Folder::open(Path::new("../../tests/fixtures").join(name)).unwrap();
    let checkpoint = Checkpoint::open(&folder).unwrap();
    Chain::load(&Config::read(&folder).unwrap(), &checkpoint, &Device::Cpu).unwrap()
}

/// Some tokens of the fixtures' vocabulary of 200.
fn tokens(count: usize, from: u32) -> Vec<u32> {
    (0..count as u32).map(|index| (from + 37 * index) % 190).collect()
}

/// What has parameters.
trait Learner {
    fn parameters(&self) -> &Parameters;

    fn set(&mut self, id: Id, tensor: Tensor);
}

impl Learner for Chain {
    fn parameters(&self) -> &Parameters {
        Chain::parameters(self)
    }

    fn set(&mut self, id: Id, tensor: Tensor) {
        self.update(|parameters| {
            parameters[id] = tensor;
            Ok(())
        })
        .unwrap();
    }
}

impl Learner for Reward {
    fn parameters(&self) -> &Parameters {
        Reward::parameters(self)
    }

    fn set(&mut self, id: Id, tensor: Tensor) {
        self.update(|parameters| {
            parameters[id] = tensor;
            Ok(())
        })
        .unwrap();
    }
}

/// The derivative of a loss along a tensor's own gradient g is ‖g‖. A central difference of step ε is off by the loss's rounding
/// over ε (10⁻⁶ of a loss near 5 over 10⁻²: 5·10⁻⁴) and by ε² times a third derivative: 2 % of ‖g‖ is allowed for it, where a
/// term that is forgotten takes tens of percents. `least` tensors have gradients that this can tell.
fn agree<M: Learner>(
    model: &mut M,
    gradients: &Gradients,
    least: usize,
    of: impl Fn(&M, Id) -> bool,
    loss: impl Fn(&M) -> f64,
) {
    const STEP: f32 = 1e-2;
    let ids: Vec<Id> = model.parameters().ids().filter(|&id| of(model, id)).collect();
    let mut told = 0;
    for id in ids {
        let name = model.parameters().name(id).to_owned();
        let gradient = gradients[id].to_vec().unwrap();
        let norm = gradient.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let start = model.parameters()[id].clone();
        let mut at = |step: f32| {
            let moved = start.to_vec().unwrap();
            let moved = moved.iter().zip(&gradient).map(|(&x, &g)| x + step * g / (norm as f32 + 1e-30));
            let tensor = Tensor::new(&Device::Cpu, start.rows(), start.width(), moved.collect()).unwrap();
            model.set(id, tensor);
            loss(model)
        };
        let slope = (at(STEP) - at(-STEP)) / f64::from(2.0 * STEP);
        at(0.0);
        assert!((slope - norm).abs() <= 0.02 * norm + 5e-4, "{name}: {slope} for {norm}");
        told += usize::from(norm > 0.02);
    }
    assert!(told >= least, "only {told} tensors");
}

#[test]
fn chains_of_thoughts() {
    for name in ["coconut-tiny", "codi-tiny"] {
        let mut chain = fixture(name);
        let (prompts, tails) = ([tokens(7, 3), tokens(4, 90)], [tokens(5, 11), tokens(3, 60)]);
        let pairs = || prompts.iter().zip(&tails);
        let examples: Vec<Example<'_>> = pairs().map(|(prompt, tail)| Example { prompt, tail }).collect();
        let mut gradients = chain.parameters().gradients().unwrap();
        chain.loss(&examples, 3, None, Some(&mut gradients)).unwrap();
        agree(&mut chain, &gradients, 20, |_, _| true, |chain| chain.loss(&examples, 3, None, None).unwrap());
    }
}

/// The teacher's part is a chain without thoughts; of the student's the teacher's states are held fast, as the loss has them.
#[test]
fn self_distillation() {
    let mut chain = fixture("codi-tiny");
    let (questions, teachers, students) =
        ([tokens(7, 3), tokens(4, 90)], [tokens(9, 11), tokens(6, 60)], [tokens(5, 7), tokens(6, 77)]);
    let lessons: Vec<Lesson<'_>> = (0..2)
        .map(|index| Lesson {
            teacher: Example { prompt: &questions[index][1..], tail: &teachers[index] },
            student: Example { prompt: &questions[index], tail: &students[index] },
            answer: index + 2,
        })
        .collect();
    let examples: Vec<Example<'_>> = lessons.iter().map(|lesson| lesson.student).collect();
    let factors = Factors { teacher: 0.5, student: 0.7, states: 3.0 };
    let (_, targets) = chain.teach(&lessons, 1.0, None, None).unwrap();
    let imitate = |chain: &Chain, gradients: Option<&mut Gradients>| {
        let (loss, distance) =
            chain.imitate(&lessons, &examples, (2, None), factors, &targets, gradients).unwrap();
        factors.student * loss + factors.states * distance
    };
    let mut gradients = chain.parameters().gradients().unwrap();
    imitate(&chain, Some(&mut gradients));
    agree(&mut chain, &gradients, 20, |_, _| true, |chain| imitate(chain, None));

    // The whole is the sum of both.
    let mut whole = chain.parameters().gradients().unwrap();
    let losses = chain.distil(&lessons, 2, factors, [None; 2], Some(&mut whole)).unwrap();
    let taught = chain.teach(&lessons, factors.teacher, None, Some(&mut gradients)).unwrap().0;
    assert_eq!(losses.teacher, taught);
    for id in chain.parameters().ids() {
        let [whole, parts] = [&whole, &gradients].map(|of| of[id].to_vec().unwrap());
        let largest = parts.iter().fold(0f32, |largest, x| largest.max(x.abs()));
        for (a, b) in whole.iter().zip(&parts) {
            assert!((a - b).abs() <= 1e-5 * largest.max(1e-3), "{}", chain.parameters().name(id));
        }
    }
    // A teacher that is the student has nothing to teach.
    let alike: Vec<Lesson<'_>> = lessons
        .iter()
        .map(|lesson| Lesson { teacher: lesson.teacher, student: lesson.teacher, ..*lesson })
        .collect();
    let losses = chain.distil(&alike, 0, factors, [None; 2], None).unwrap();
    assert_eq!((losses.states, losses.teacher), (0.0, losses.student));
}

/// What the latent head foresees is a constant: the table of embeddings, of which it is made, is checked without that part.
#[test]
fn compressed_chains() {
    let mut chain = fixture("colar-tiny");
    let (prompts, steps, tails) =
        ([tokens(7, 3), tokens(4, 90)], [tokens(8, 21), tokens(5, 50)], [tokens(3, 7), tokens(4, 77)]);
    let labels = [vec![21, 132, 53], vec![50, 161]];
    let examples: Vec<colar::Example<'_>> = (0..2)
        .map(|index| colar::Example {
            prompt: &prompts[index],
            steps: &steps[index],
            labels: &labels[index],
            tail: &tails[index],
        })
        .collect();
    let is_table = |chain: &Chain, id| chain.parameters().name(id).ends_with("embed_tokens.weight");
    for (factor, table, least) in [(0.25, false, 20), (0.0, true, 1)] {
        let mut gradients = chain.parameters().gradients().unwrap();
        chain.compressed(&examples, 3, factor, None, Some(&mut gradients)).unwrap();
        let loss = |chain: &Chain| {
            let losses = chain.compressed(&examples, 3, factor, None, None).unwrap();
            losses.tokens + factor * losses.latents
        };
        agree(&mut chain, &gradients, least, |chain, id| is_table(chain, id) == table, loss);
    }
    let none = [colar::Example { prompt: &prompts[0], steps: &[], labels: &[], tail: &tails[0] }];
    let mut gradients = chain.parameters().gradients().unwrap();
    let losses = chain.compressed(&none, 3, 1.0, None, Some(&mut gradients)).unwrap();
    let plain = [Example { prompt: &prompts[0][..6], tail: &[&prompts[0][6..], &tails[0]].concat() }];
    assert_eq!(losses, colar::Losses { tokens: chain.loss(&plain, 0, None, None).unwrap(), latents: 0.0 });
    let wrong = [colar::Example { labels: &labels[1], ..examples[0] }];
    assert!(chain.compressed(&wrong, 3, 1.0, None, None).is_err());
    assert!(fixture("codi-tiny").compressed(&examples, 3, 1.0, None, None).is_err());
}

/// Two questions with trajectories of unequal lengths, one of a single trajectory: prompts that are shared, through every
/// iteration. The loss weighs all scores differently; a new network's, as a trained one's norms leave little of the scores of
/// untrained heads.
#[test]
fn rewards_of_depth() {
    let folder = Folder::open(Path::new("../../tests/fixtures/huginn-tiny")).unwrap();
    let Config::Huginn(shape) = Config::read(&folder).unwrap() else { panic!("recurrent depth") };
    let width = shape.width;
    let mut rows = vec![0.0; 8 * width];
    for (position, row) in rows.chunks_mut(width).enumerate() {
        let draw = Draw { key: 5, trajectory: 0 };
        fill_normals(row, Coordinates { draw, position: position as u32, iteration: 0 }, Site::State);
    }
    let states = Tensor::new(&Device::Cpu, 8, width, rows).unwrap();
    let input = |row| Input::Row(&states, row);
    let prompts = [tokens(5, 3), tokens(3, 90)];
    let questions = [
        Thoughts {
            prompt: &prompts[0],
            trajectories: vec![(0..3).map(input).collect(), vec![input(3)], Vec::new()],
        },
        Thoughts { prompt: &prompts[1], trajectories: vec![(4..8).map(input).collect()] },
    ];
    let judge = |scores: &[Vec<f32>]| {
        let mut weight = -20.0;
        let mut loss = 0.0;
        let mut of_score = |&score: &f32| {
            weight += 7.0;
            loss += weight * f64::from(score);
            weight
        };
        let gradients = scores.iter().map(|scores| scores.iter().map(&mut of_score).collect()).collect();
        (loss, gradients)
    };
    for iterations in [1, 2] {
        let config = Config::Huginn(HuginnConfig { iterations, ..shape.clone() });
        let mut reward = Reward::new(&config, &mut Initial { seed: 3 }, &Device::Cpu).unwrap();
        let mut gradients = reward.parameters().gradients().unwrap();
        reward.loss(&questions, judge, &mut gradients).unwrap();
        agree(
            &mut reward,
            &gradients,
            60,
            |_, _| true,
            |reward| judge(&reward.scores(&questions).unwrap()).0,
        );
    }
}
