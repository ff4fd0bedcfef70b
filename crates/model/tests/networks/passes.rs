//! What a pass may leave out: rows that nobody wants, and rows that are the same in several runs.

use std::slice;

use fathom::{
    DType, Device, Error, Keep, Perturb, Result, Tensor,
    kv::Sequence,
    random::{Coordinates, Draw, Site},
};
use fathom_model::{
    body::{Body, Input},
    folder::Folder,
    latents::Latent,
    load::{Model, Network},
    pass::{Disturbance, DropSites, Run, Wanted},
    scratch::Scratch,
};

use crate::fixture;

/// Tokens of a run, all within the fixtures' vocabularies.
const PROMPTS: [&[u32]; 4] = [&[5, 9, 60], &[31, 102, 7, 7, 61], &[88], &[12, 4]];

/// Runs `work` with the bodies of GPT-2 and of Llama.
fn bodies(work: impl Fn(&str, &Body)) {
    for name in ["coconut-tiny", "codi-tiny", "colar-tiny"] {
        for dtype in [DType::F32, DType::Bf16] {
            let model = Model::load(&Folder::open(fixture(name)).unwrap(), &Device::Cpu, dtype).unwrap();
            let Network::Chain(chain) = &model.network else { panic!("{name} is a chain") };
            work(&format!("{name} in {dtype}"), chain.body());
        }
    }
}

/// Nothing, each of the sites alone, those that are dropped together, and all.
fn sites() -> [Option<DropSites>; 6] {
    let none = DropSites::default();
    let [embedding, attention, mlp] = [
        DropSites { embedding: true, ..none },
        DropSites { attention: true, ..none },
        DropSites { mlp: true, ..none },
    ];
    let both = DropSites { attention: true, ..mlp };
    [
        None,
        Some(embedding),
        Some(attention),
        Some(mlp),
        Some(both),
        Some(DropSites { embedding: true, ..both }),
    ]
}

/// Dropout at `sites`, by the trajectory of each sequence.
fn disturbance(sites: Option<DropSites>, runs: &[Run<'_>], trajectories: &[u32]) -> Disturbance<'static> {
    let Some(sites) = sites else { return Disturbance::None };
    let rows = runs.iter().zip(trajectories).flat_map(|(run, &trajectory)| {
        let at = move |position| Coordinates {
            draw: Draw { key: 5, trajectory },
            position: position as u32,
            iteration: 0,
        };
        run.positions().map(at)
    });
    Disturbance::Dropout { keep: Keep::new(0.3), sites, rows: rows.collect() }
}

/// One pass of sequence `i` over `inputs[i]`: bits of the wanted rows.
fn pass(
    body: &Body,
    sequences: &mut [Sequence],
    inputs: &[Vec<Input<'_>>],
    (sites, trajectories): (Option<DropSites>, &[u32]),
    wanted: Wanted,
) -> Vec<Vec<u32>> {
    let mut scratch = Scratch::new(&Device::Cpu, DType::F32);
    let mut runs: Vec<Run<'_>> =
        sequences.iter_mut().zip(inputs).map(|(sequence, rows)| Run::admit(sequence, rows.len())).collect();
    let disturbance = disturbance(sites, &runs, trajectories);
    let states = body.forward(&inputs.concat(), &mut runs, &disturbance, wanted, &mut scratch).unwrap();
    (0..states.rows()).map(|row| states.row(row).iter().map(|x| x.to_bits()).collect()).collect()
}

fn tokens(prompt: &[u32]) -> Vec<Input<'static>> {
    prompt.iter().map(|&id| Input::Token(id)).collect()
}

fn empty(body: &Body, count: usize) -> Vec<Sequence> {
    (0..count).map(|_| body.sequence()).collect()
}

/// The last of each run's rows.
fn last(rows: &[Vec<u32>], inputs: &[Vec<Input<'_>>]) -> Vec<Vec<u32>> {
    let mut end = 0;
    let ends = inputs.iter().map(|rows| {
        end += rows.len();
        end - 1
    });
    ends.map(|end| rows[end].clone()).collect()
}

/// Ragged runs over ragged prompts: what is left out leaves the same keys and values behind, on which the next pass goes on.
#[test]
fn the_last_rows_are_those_of_all() {
    bodies(|name, body| {
        let latent = Latent::new(&Device::Cpu, vec![0.25; body.width()]).unwrap();
        let prompts: Vec<_> = PROMPTS.map(tokens).into();
        let thoughts: Vec<_> = (0..PROMPTS.len())
            .map(|run| [vec![latent.input(); 1 + run % 3], tokens(&[4])].concat())
            .collect();
        for sites in sites() {
            let drops = (sites, &[3, 0, 9, 4][..]);
            let (mut all, mut only) = (empty(body, PROMPTS.len()), empty(body, PROMPTS.len()));
            for (step, inputs) in [&prompts, &thoughts].into_iter().enumerate() {
                let expected = last(&pass(body, &mut all, inputs, drops, Wanted::All), inputs);
                let got = pass(body, &mut only, inputs, drops, Wanted::Last);
                assert_eq!(got, expected, "{name}, {sites:?}, pass {step}");
            }
        }
    });
}

/// Equal prompts go through as one until something perturbs them; each run has the bits that it has alone, and goes on as
/// it would alone. Of two other sets of prompts no run stands for another: one differs in a token, one in length.
#[test]
fn equal_prompts_are_as_each_alone() {
    let equal = [PROMPTS[1]; 4];
    let but_one = [PROMPTS[1], PROMPTS[1], &[31, 102, 7, 8, 61], PROMPTS[1]];
    let longer = [PROMPTS[1], PROMPTS[1], PROMPTS[1], &[31, 102, 7, 7, 61, 5]];
    let trajectories = [3, 0, 9, 4];
    bodies(|name, body| {
        let latent = Latent::new(&Device::Cpu, vec![0.25; body.width()]).unwrap();
        let fed = vec![latent.input()];
        for prompts in [equal, but_one, longer] {
            let prompts = prompts.map(tokens);
            for sites in sites() {
                for wanted in [Wanted::All, Wanted::Last] {
                    let context = format!("{name}, {sites:?}, {wanted:?} of {prompts:?}");
                    let mut together = empty(body, 4);
                    let drops = (sites, &trajectories[..]);
                    let states = pass(body, &mut together, &prompts, drops, wanted);
                    let next = pass(body, &mut together, &vec![fed.clone(); 4], drops, wanted);
                    let mut alone = (Vec::new(), Vec::new());
                    for (run, prompt) in prompts.iter().enumerate() {
                        let mut sequence = empty(body, 1);
                        let drops = (sites, &trajectories[run..=run]);
                        alone.0.extend(pass(body, &mut sequence, slice::from_ref(prompt), drops, wanted));
                        alone.1.extend(pass(body, &mut sequence, slice::from_ref(&fed), drops, wanted));
                    }
                    assert_eq!(states, alone.0, "{context}: prompts");
                    assert_eq!(next, alone.1, "{context}: the pass after them");
                    // Nothing tells equal prompts apart but what perturbs them.
                    assert_eq!(next[0] == next[1], sites.is_none(), "{context}: runs 0 and 1");
                }
            }
        }
    });
}

/// Recorded values are those of all rows, of which a pass that ends early cannot choose; where each run is but one row,
/// there is nothing to choose.
#[test]
fn recordings_want_all_rows() {
    bodies(|name, body| {
        let forward = |prompts: &[&[u32]], wanted| -> Result<Tensor> {
            let inputs: Vec<Input<'_>> = prompts.iter().flat_map(|prompt| tokens(prompt)).collect();
            let factors: Vec<f32> = (0..inputs.len() * body.width()).map(|i| (i % 3) as f32).collect();
            let scale = |site| match site {
                Site::Mlp(_) => Perturb::Scale(&factors),
                _ => Perturb::None,
            };
            let mut sequences = empty(body, prompts.len());
            let admitted = sequences.iter_mut().zip(prompts);
            let mut runs: Vec<Run<'_>> =
                admitted.map(|(sequence, prompt)| Run::admit(sequence, prompt.len())).collect();
            let recorded = Disturbance::Recorded(&scale);
            let mut scratch = Scratch::new(&Device::Cpu, DType::F32);
            body.forward(&inputs, &mut runs, &recorded, wanted, &mut scratch).cloned()
        };
        for prompts in [&PROMPTS[..], &[PROMPTS[1]], &[PROMPTS[1]; 3]] {
            let error = forward(prompts, Wanted::Last).map(|_| ()).unwrap_err();
            assert!(matches!(error, Error::Shape { operation: "pass", .. }), "{name}: {error}");
            assert!(error.to_string().contains("recorded"), "{name}: {error}");
            let rows = prompts.iter().map(|prompt| prompt.len()).sum::<usize>();
            assert_eq!(forward(prompts, Wanted::All).unwrap().rows(), rows, "{name}");
        }
        let single: [&[u32]; 2] = [&[88], &[31]];
        let [only, all] = [Wanted::Last, Wanted::All].map(|wanted| forward(&single, wanted).unwrap());
        assert_eq!(only.data(), all.data(), "{name}");
    });
}
