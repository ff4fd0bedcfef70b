//! Perturbations against the documented coordinates (docs/randomness.md): masks and noise are drawn here, by position
//! and pass, and replayed through the network as recordings.

use std::collections::HashMap;

use fathom::{
    DType, Device, Keep, Perturb, Tensor, Tokens,
    ops::arg_max::arg_max,
    random::{Coordinates, Draw, Site, Stream, fill_normals, key, words},
};
use fathom_model::{
    body::Input,
    latent::{Kind, LatentChain},
    latents::Latent,
    load::Network,
    pass::{Disturbance, Run, Wanted},
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};
use fathom_search::trajectories::{Thinking, draws, think};

use crate::{PROMPT, model};

const STEPS: usize = 3;
const ANSWER: usize = 4;
const SEED: u64 = 21;
const TRAJECTORY: u32 = 6;

fn at(position: usize) -> Coordinates {
    let draw = Draw { key: key(SEED, &PROMPT, Stream::Trajectory), trajectory: TRAJECTORY };
    Coordinates { draw, position: position as u32, iteration: 0 }
}

/// Scaled keep masks of rows `positions` at `site`.
fn mask(p: f32, site: Site, positions: std::ops::Range<usize>, width: usize) -> Vec<f32> {
    let keep = Keep::new(p);
    let row = |position: usize| {
        (0..width).map(move |channel| {
            let word = words(at(position), site, channel as u32 / 4)[channel % 4];
            if u64::from(word) < keep.threshold { keep.scale } else { 0.0 }
        })
    };
    positions.flat_map(row).collect()
}

/// One trajectory by hand: which sites drop in a pass of which kind is what the test knows.
fn by_hand(chain: &LatentChain, perturbation: Perturbation) -> (Vec<Vec<f32>>, Vec<u32>) {
    let width = chain.body().width();
    let mut sequence = chain.body().sequence();
    let mut scratch = chain.body().scratch();
    let layers = 2;
    let mut pass = |inputs: Vec<Input<'_>>, drops: bool| {
        let first = sequence.len();
        let positions = first..first + inputs.len();
        let mut masks: HashMap<Site, Vec<f32>> = HashMap::new();
        if let (Perturbation::Dropout { p, sites, .. }, true) = (perturbation, drops) {
            let mut add = |site| masks.insert(site, mask(p, site, positions.clone(), width));
            for layer in 0..layers {
                add(Site::Mlp(layer));
                if chain.kind() != Kind::Colar && sites != Sites::Mlp {
                    add(Site::Attention(layer));
                }
            }
            if chain.kind() != Kind::Colar && sites == Sites::ResidEmbd {
                add(Site::Embedding);
            }
        }
        let recorded = |site| masks.get(&site).map_or(Perturb::None, |mask| Perturb::Scale(mask));
        let mut runs = [Run::admit(&mut sequence, inputs.len())];
        let recorded = Disturbance::Recorded(&recorded);
        let states = chain.body().forward(&inputs, &mut runs, &recorded, Wanted::All, &mut scratch).unwrap();
        let mut state = Tensor::empty(states.device());
        states.select(&[states.rows() - 1], &mut state).unwrap();
        state
    };
    let scope = match perturbation {
        Perturbation::Dropout { scope, .. } => scope,
        _ => Scope::Full,
    };
    let mut state = pass(PROMPT.iter().map(|&id| Input::Token(id)).collect(), scope == Scope::Full);
    let mut latents: Vec<Vec<f32>> = Vec::new();
    for step in 0..STEPS {
        let mut latent = chain.feedback().apply(state).unwrap().into_data().unwrap();
        if let Perturbation::Noise { std, .. } = perturbation {
            let mut normals = vec![0.0; width];
            fill_normals(&mut normals, at(PROMPT.len() + step), Site::Latent);
            latent.iter_mut().zip(&normals).for_each(|(x, n)| *x = std.mul_add(*n, *x));
        }
        latents.push(latent);
        // The last latent opens the answer: its pass is not perturbed, except in CoLaR's published form.
        let last = step + 1 == STEPS;
        let drops = !last || chain.kind() == Kind::Colar && scope == Scope::Full;
        let thought = Latent::new(&Device::Cpu, latents[step].clone()).unwrap();
        state = pass(vec![thought.input()], drops);
    }
    let drops = chain.kind() == Kind::Colar && scope == Scope::Full;
    let mut answer = Vec::new();
    let mut token = chain.ids().latent_end;
    while answer.len() < ANSWER {
        state = pass(vec![Input::Token(token)], drops);
        let mut tokens = Tokens::empty(state.device());
        arg_max(&state, chain.body().head(), &mut tokens).unwrap();
        token = tokens.to_vec().unwrap()[0];
        if chain.ids().eos.contains(&token) {
            break;
        }
        answer.push(token);
    }
    (latents, answer)
}

#[test]
fn draws_are_where_they_are_documented() {
    let dropout = |sites, scope| Perturbation::Dropout { p: 0.3, sites, scope };
    let samplers = [
        Perturbation::Noise { std: 0.5, scope: Scope::Full },
        dropout(Sites::Resid, Scope::Full),
        dropout(Sites::Mlp, Scope::Full),
        dropout(Sites::ResidEmbd, Scope::Full),
        dropout(Sites::Resid, Scope::Latent),
    ];
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        let model = model(name, DType::F32);
        let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
        for perturbation in samplers {
            let thinking = Thinking { steps: STEPS, perturbation, seed: SEED };
            let draw = draws(SEED, &PROMPT, Stream::Trajectory, [TRAJECTORY as usize]);
            let thoughts = think(chain, &PROMPT, &draw, thinking).unwrap();
            assert!(!thoughts[0].ended(), "{name}: another seed is needed, whose thought does not end early");
            let latents = Latent::to_rows(thoughts[0].latents()).unwrap();
            let answer = chain.read_out(thoughts, ANSWER, perturbation).unwrap().remove(0);
            assert_eq!((latents, answer), by_hand(chain, perturbation), "{name} {perturbation:?}");
        }
    }
}

/// The state of recurrent depth: noise and dropout of iteration t carry t, at the thinking position.
#[test]
fn recurrent_draws_carry_the_iteration() {
    let model = model("huginn-tiny", DType::F32);
    let Network::Huginn(huginn) = &model.network else { panic!("recurrent") };
    let width = huginn.width();
    let last = PROMPT.len() - 1;
    for perturbation in [
        Perturbation::Noise { std: 0.2, scope: Scope::Latent },
        Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Latent },
    ] {
        let thinking = Thinking { steps: STEPS, perturbation, seed: SEED };
        let draw = draws(SEED, &PROMPT, Stream::Trajectory, [TRAJECTORY as usize]);
        let thoughts = think(huginn, &PROMPT, &draw, thinking).unwrap();

        let mut sequence = huginn.sequence();
        let mut runs = [Run::admit(&mut sequence, PROMPT.len())];
        let mut scratch = huginn.scratch();
        let injected = huginn.inject(&huginn.prelude(&PROMPT, &mut runs, &mut scratch).unwrap()).unwrap();
        let free = Draw { key: key(SEED, &PROMPT, Stream::State), trajectory: 0 };
        let rows = (0..PROMPT.len()).map(|p| Coordinates { draw: free, position: p as u32, iteration: 0 });
        let mut state = huginn.initial_state(&rows.collect::<Vec<_>>()).unwrap();
        for t in 0..STEPS {
            let at = Coordinates { iteration: t as u32, ..at(last) };
            let row = &mut state.data_mut()[last * width..];
            match perturbation {
                Perturbation::Noise { std, .. } => {
                    let mut normals = vec![0.0; width];
                    fill_normals(&mut normals, at, Site::Latent);
                    row.iter_mut().zip(&normals).for_each(|(x, n)| *x = std.mul_add(*n, *x));
                }
                _ => {
                    let keep = Keep::new(0.2);
                    for (channel, x) in row.iter_mut().enumerate() {
                        let word = words(at, Site::Latent, channel as u32 / 4)[channel % 4];
                        *x = if u64::from(word) < keep.threshold { *x * keep.scale } else { 0.0 };
                    }
                }
            }
            let policy = fathom_model::huginn::CachePolicy::Full;
            let none = Disturbance::None;
            huginn.iterate(&mut state, &injected, &mut runs, t, policy, &none, &mut scratch).unwrap();
            assert_eq!(
                thoughts[0].latents()[t].to_vec().unwrap(),
                state.row(last),
                "{perturbation:?}, iteration {t}"
            );
        }
    }
}
