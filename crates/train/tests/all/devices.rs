//! A step of training in the kernels beside one on the CPU.

use std::path::Path;

use fathom::{
    Device, Tensor,
    ops::embedding::Input,
    random::{Coordinates, Draw, Site, Stream, fill_normals, key},
};
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, HuginnConfig},
    folder::Folder,
};
use fathom_train::{
    Result,
    initial::Initial,
    objective::{
        chain::{Chain, Dropout, Example},
        recurrence::{Examples, Iterations, RecurrentDepth},
        reward::{Reward, Thoughts},
    },
    optimizer::{Optimizer, Rule},
    parameters::{Gradients, Parameters},
};

const LR: f64 = 1e-3;

/// So large that a step is a smooth function of the gradient: g/(|g| + ε) moves by at most Δg/ε.
const EPS: f64 = 1e-2;

/// What a step leaves: the losses before and after it, the gradients by tensor, and the parameters.
struct Stepped {
    losses: [f64; 2],
    gradients: Vec<Vec<f32>>,
    parameters: Vec<Vec<f32>>,
}

fn open(name: &str) -> (Config, Checkpoint) {
    let folder = Folder::open(Path::new("../../tests/fixtures").join(name)).unwrap();
    (Config::read(&folder).unwrap(), Checkpoint::open(&folder).unwrap())
}

/// Losses and a step of a network, whose loss is `loss` and whose parameters change through `update`.
fn step<M>(
    mut model: M,
    rule: Rule,
    parameters: fn(&M) -> &Parameters,
    loss: impl Fn(&M, Option<&mut Gradients>) -> Result<f64>,
    update: fn(&mut M, &mut Optimizer, &Gradients) -> Result<()>,
) -> Stepped {
    let mut gradients = parameters(&model).gradients().unwrap();
    let mut optimizer = Optimizer::new(rule, LR, Some(1.0), parameters(&model)).unwrap();
    let before = loss(&model, Some(&mut gradients)).unwrap();
    update(&mut model, &mut optimizer, &gradients).unwrap();
    let after = loss(&model, None).unwrap();
    let ids = || parameters(&model).ids();
    Stepped {
        losses: [before, after],
        gradients: ids().map(|id| gradients[id].to_vec().unwrap()).collect(),
        parameters: ids().map(|id| parameters(&model)[id].to_vec().unwrap()).collect(),
    }
}

fn recurrent(device: &Device) -> Stepped {
    let (config, checkpoint) = open("huginn-tiny");
    let Config::Huginn(config) = config else { panic!("no recurrent depth") };
    let model = RecurrentDepth::load(&config, &checkpoint, device).unwrap();
    let tokens: [&[u32]; 2] = [&[3, 1, 4, 1, 5, 9, 2], &[6, 5, 3]];
    let targets: Vec<Option<u32>> = (0..10).map(|i| (i % 4 != 3).then_some(i * 3)).collect();
    let mut states = vec![0.0; 10 * config.width];
    let draw = Draw { key: key(1, &[], Stream::State), trajectory: 0 };
    for (row, state) in states.chunks_mut(config.width).enumerate() {
        fill_normals(state, Coordinates { draw, position: row as u32, iteration: 0 }, Site::State);
    }
    let rule = Rule::EllisAdam { betas: [0.9, 0.95], eps: EPS, weight_decay: 0.1 };
    let loss = |model: &RecurrentDepth, gradients: Option<&mut Gradients>| {
        let initial = Tensor::new(device, 10, config.width, states.clone())?;
        let examples = Examples { tokens: &tokens, targets: &targets, initial };
        model.loss(examples, Iterations { without: 1, with: 2 }, gradients)
    };
    step(model, rule, RecurrentDepth::parameters, loss, |model, optimizer, gradients| {
        model.update(|parameters| optimizer.step(parameters, gradients, 1.0).map(drop))
    })
}

fn chain(device: &Device) -> Stepped {
    let (config, checkpoint) = open("coconut-tiny");
    let model = Chain::load(&config, &checkpoint, device).unwrap();
    let examples = [
        Example { prompt: &[3, 1, 4, 1], tail: &[5, 9, 2, 6] },
        Example { prompt: &[5, 3], tail: &[5, 8, 9, 7, 9] },
    ];
    let rule = Rule::AdamW { betas: [0.9, 0.999], eps: EPS, weight_decay: 0.1 };
    let dropout = Dropout { p: 0.1, key: 7 };
    let loss =
        |model: &Chain, gradients: Option<&mut Gradients>| model.loss(&examples, 2, Some(dropout), gradients);
    step(model, rule, Chain::parameters, loss, |model, optimizer, gradients| {
        model.update(|parameters| optimizer.step(parameters, gradients, 1.0).map(drop))
    })
}

/// Scores of two questions' states, through two iterations of a core.
fn reward(device: &Device) -> Stepped {
    let (config, _) = open("huginn-tiny");
    let Config::Huginn(shape) = config else { panic!("no recurrent depth") };
    let width = shape.width;
    let config = Config::Huginn(HuginnConfig { iterations: 2, ..shape });
    let model = Reward::new(&config, &mut Initial { seed: 1 }, device).unwrap();
    let mut states = vec![0.0; 5 * width];
    let draw = Draw { key: 2, trajectory: 0 };
    for (row, state) in states.chunks_mut(width).enumerate() {
        fill_normals(state, Coordinates { draw, position: row as u32, iteration: 0 }, Site::State);
    }
    let states = Tensor::new(device, 5, width, states).unwrap();
    let rows = |rows: std::ops::Range<usize>| rows.map(|row| Input::Row(&states, row)).collect();
    let questions = [
        Thoughts { prompt: &[3, 1, 4, 1], trajectories: vec![rows(0..2), rows(2..3)] },
        Thoughts { prompt: &[5, 9], trajectories: vec![rows(3..5)] },
    ];
    // Σ (r − 1)² / 2.
    let judge = |scores: &[Vec<f32>]| {
        let gradients: Vec<Vec<f64>> =
            scores.iter().map(|of| of.iter().map(|&r| f64::from(r) - 1.0).collect()).collect();
        (gradients.iter().flatten().map(|d| d * d / 2.0).sum::<f64>(), gradients)
    };
    let rule = Rule::AdamW { betas: [0.9, 0.999], eps: EPS, weight_decay: 0.1 };
    let loss = |model: &Reward, gradients: Option<&mut Gradients>| match gradients {
        Some(gradients) => model.loss(&questions, judge, gradients),
        None => Ok(judge(&model.scores(&questions)?).0),
    };
    step(model, rule, Reward::parameters, loss, |model, optimizer, gradients| {
        model.update(|parameters| optimizer.step(parameters, gradients, 1.0).map(drop))
    })
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

fn apart(a: &[f32], b: &[f32]) -> f64 {
    norm(a.iter().zip(b).map(|(&a, &b)| f64::from(a) - f64::from(b)))
}

/// Products have the CPU's bits; norms, softmaxes and GELU round in orders of their own, a relative 1e-6 each, and a dozen of them
/// follow each other: losses to 1e-5, gradients to 1e-4 of a tensor's norm. What the softmax makes of a shift that all scores
/// share is rounding alone: a floor of 1e-6.
#[test]
fn a_step_on_the_emulated_gpu_is_the_cpus() {
    let device = Device::emulated().unwrap();
    for (name, run) in [
        ("huginn-tiny", recurrent as fn(&Device) -> Stepped),
        ("coconut-tiny", chain),
        ("scores of depth", reward),
    ] {
        let (got, expected) = (run(&device), run(&Device::Cpu));
        for (got, expected) in got.losses.iter().zip(expected.losses) {
            assert!((got - expected).abs() <= 1e-5 * expected.max(1.0), "{name}: {got} for {expected}");
        }
        assert!(expected.losses[1] < expected.losses[0], "{name}: {:?}", expected.losses);
        let tensors = got.gradients.iter().zip(&expected.gradients);
        for (index, (of_got, of_expected)) in tensors.enumerate() {
            let (error, whole) =
                (apart(of_got, of_expected), norm(of_expected.iter().map(|&x| f64::from(x))));
            assert!(error <= 1e-4 * whole + 1e-6, "{name}, gradient {index}: {error:e} of {whole:e}");
            let (got, expected) = (&got.parameters[index], &expected.parameters[index]);
            let (moved, size) = (apart(got, expected), norm(expected.iter().map(|&x| f64::from(x))));
            // An update moves by its learning rate over ε times as much, ELLISAdam's √(1 − β₂)/(1 − β₁) = 2.2 times that; and both
            // round.
            let allowed = 2.5 * LR / EPS * error + 1e-6 * size;
            assert!(moved <= allowed, "{name}, parameter {index}: {moved:e}, allowed {allowed:e}");
        }
    }
}
