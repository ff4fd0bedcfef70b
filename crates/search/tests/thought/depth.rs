//! Reward models over the states of recurrent depth: what a score depends on, beams over depth, what they cost.

use std::{collections::HashMap, fs, path::Path};

use fathom::{
    DType, Device,
    random::{Coordinates, Draw, Site, Stream, fill_normals},
};
use fathom_model::{
    body::Input,
    folder::Folder,
    huginn::Huginn,
    latent_rm::LatentRm,
    latents::Latent,
    load::Network,
    pass::Run,
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Reasoner, Thought},
};
use fathom_search::{
    aggregate::best as best_score,
    beam::{Width, beam_search, best},
    scorer::trajectory_scores,
    trajectories::{Thinking, draws, think},
};
use safetensors::{Dtype, SafeTensors, serialize_to_file, tensor::TensorView};
use serde_json::{Value, json};

use crate::{PROMPT, bits, devices::load, fixture, model};

const STEPS: usize = 5;

const SAMPLERS: [Perturbation; 4] = [
    Perturbation::Noise { std: 0.5, scope: Scope::Latent },
    Perturbation::Noise { std: 0.5, scope: Scope::Full },
    Perturbation::Dropout { p: 0.3, sites: Sites::Resid, scope: Scope::Latent },
    Perturbation::State,
];

/// The network of `huginn-tiny` under a random head, with so many iterations.
pub(crate) fn depth_reward(device: &Device, dtype: DType, iterations: usize) -> LatentRm {
    let bytes = fs::read(Path::new(&fixture("huginn-tiny").path_of("model.safetensors"))).unwrap();
    let body = SafeTensors::deserialize(&bytes).unwrap();
    let mut config: Value =
        serde_json::from_slice(&fs::read(fixture("huginn-tiny").path_of("config.json")).unwrap()).unwrap();
    config["iterations"] = json!(iterations);
    let width = config["n_embd"].as_u64().unwrap() as usize;
    let mut head = vec![0.0; width];
    let draw = Draw { key: 23, trajectory: 0 };
    fill_normals(&mut head, Coordinates { draw, position: 0, iteration: 0 }, Site::State);
    let head: Vec<u8> = head.iter().flat_map(|x| x.to_le_bytes()).collect();
    let bias = 0.25f32.to_le_bytes();
    let mut tensors: HashMap<String, TensorView<'_>> = body.tensors().into_iter().collect();
    tensors.insert("classifier.weight".into(), TensorView::new(Dtype::F32, vec![1, width], &head).unwrap());
    tensors.insert("classifier.bias".into(), TensorView::new(Dtype::F32, vec![1], &bias).unwrap());
    let place = tempfile::tempdir().unwrap();
    serialize_to_file(&tensors, None, &place.path().join("model.safetensors")).unwrap();
    fs::write(place.path().join("config.json"), config.to_string()).unwrap();
    LatentRm::open(&Folder::open(place.path()).unwrap(), device, dtype).unwrap()
}

fn each(test: impl Fn(&Huginn, &LatentRm, Thinking)) {
    let model = model("huginn-tiny", DType::F32);
    let Network::Huginn(huginn) = &model.network else { panic!("huginn-tiny is recurrent") };
    let scorer = depth_reward(&Device::Cpu, DType::F32, 2);
    for perturbation in SAMPLERS {
        test(huginn, &scorer, Thinking { steps: STEPS, perturbation, seed: 3 });
    }
}

fn thoughts(huginn: &Huginn, thinking: Thinking, count: usize) -> Vec<Vec<Latent>> {
    let draws = draws(thinking.seed, &PROMPT, Stream::Trajectory, 0..count);
    let thoughts = think(huginn, &PROMPT, &draws, thinking).unwrap();
    thoughts.iter().map(|thought| thought.latents().to_vec()).collect()
}

/// A state's score is that of the last row of a pass over the prompt and the states up to it, bit for bit: alone or among
/// others, all at once or as they come. More iterations are another score.
#[test]
fn scores_depend_on_what_came_before_alone() {
    for dtype in [DType::F32, DType::Bf16] {
        let model = model("huginn-tiny", dtype);
        let Network::Huginn(huginn) = &model.network else { panic!("huginn-tiny is recurrent") };
        let [once, twice] = [1, 2].map(|iterations| depth_reward(&Device::Cpu, dtype, iterations));
        assert_eq!((once.iterations(), twice.iterations()), (Some(1), Some(2)));
        let latents = thoughts(huginn, Thinking { steps: STEPS, perturbation: SAMPLERS[0], seed: 3 }, 9);
        let of = |rm: &LatentRm, views: &[&[Latent]]| {
            let mut states = rm.begin(&PROMPT, views.len()).unwrap();
            rm.score(&mut states.iter_mut().collect::<Vec<_>>(), views).unwrap()
        };
        let views: Vec<&[Latent]> = latents.iter().map(Vec::as_slice).collect();
        let all = of(&twice, &views);
        assert_eq!(of(&twice, &views[4..5]), all[4..5], "{dtype}: alone");
        assert_ne!(of(&once, &views), all, "{dtype}: iterations");
        let mut states = twice.begin(&PROMPT, 9).unwrap();
        for t in 0..STEPS {
            let next: Vec<&[Latent]> = latents.iter().map(|one| &one[t..=t]).collect();
            let scores = twice.score(&mut states.iter_mut().collect::<Vec<_>>(), &next).unwrap();
            for (of_step, all) in scores.iter().zip(&all) {
                assert_eq!(of_step, &all[t..=t], "{dtype}: as they come");
            }
        }
        let tokens = PROMPT.iter().map(|&id| Input::Token(id));
        let rows: Vec<Input<'_>> = tokens.chain(latents[4][..3].iter().map(Latent::input)).collect();
        let mut sequence = twice.sequence();
        let whole = twice.score_rows(&rows, &mut [Run::admit(&mut sequence, rows.len())]).unwrap();
        assert_eq!(whole[PROMPT.len()..], all[4][..3], "{dtype}: in one pass");
        assert_eq!(twice.prompts_prefilled(), 3, "a prompt is computed once for all trajectories");
    }
}

/// However often beams are pruned, with one candidate each they are the trajectories, and the search is best-of-N.
#[test]
fn one_candidate_a_beam_is_best_of_n() {
    each(|huginn, scorer, thinking| {
        let latents = thoughts(huginn, thinking, 6);
        let views: Vec<&[Latent]> = latents.iter().map(Vec::as_slice).collect();
        let scores = trajectory_scores(scorer, &PROMPT, &views).unwrap();
        for every in [1, 2, 3, 9] {
            let width = Width { beams: 6, candidates: 1, every };
            let found = beam_search(huginn, scorer, &PROMPT, thinking, width).unwrap();
            for (beam, (latents, score)) in found.iter().zip(latents.iter().zip(&scores)) {
                assert_eq!(bits(beam.thought.latents()), bits(latents), "{thinking:?} {every}");
                // Sums of sums against one sum of five terms.
                assert!((beam.score - score).abs() <= 1e-5 * score.abs().max(1.0), "{} {score}", beam.score);
            }
            let winner = best_score(&scores).unwrap();
            assert_eq!(bits(best(found).unwrap().thought.latents()), bits(&latents[winner]), "{thinking:?}");
        }
    });
}

/// What a beam has accumulated over forks is what its states score from scratch, and its answer is that of its last state.
#[test]
fn forks_equal_recomputation() {
    each(|huginn, scorer, thinking| {
        for every in [1, 2] {
            let width = Width { beams: 3, candidates: 4, every };
            let beams = beam_search(huginn, scorer, &PROMPT, thinking, width).unwrap();
            assert_eq!(beams.len(), 3);
            let latents: Vec<&[Latent]> = beams.iter().map(|beam| beam.thought.latents()).collect();
            assert!(latents.iter().all(|states| states.len() == STEPS));
            for (beam, score) in beams.iter().zip(trajectory_scores(scorer, &PROMPT, &latents).unwrap()) {
                assert!((beam.score - score).abs() <= 1e-5 * score.abs().max(1.0), "{} {score}", beam.score);
            }
            if every == 1 || thinking.perturbation == Perturbation::State {
                continue;
            }
            // Two steps share a draw, so that beams of one parent differ from its first step on.
            let distinct: std::collections::HashSet<_> = latents.iter().map(|states| bits(states)).collect();
            assert_eq!(distinct.len(), 3, "{thinking:?}");
        }
    });
}

/// The emulated GPU ranks as the CPU does.
#[test]
fn beams_on_the_emulated_gpu() {
    let found = |device: &Device, every: usize| {
        let model = load("huginn-tiny", device, DType::F32);
        let Network::Huginn(huginn) = &model.network else { panic!("huginn-tiny is recurrent") };
        let thinking = Thinking { steps: 2, perturbation: SAMPLERS[0], seed: 5 };
        let width = Width { beams: 2, candidates: 2, every };
        let scorer = depth_reward(device, DType::F32, 1);
        let beams = beam_search(huginn, &scorer, &PROMPT, thinking, width).unwrap();
        let rows = |beam: &fathom_search::beam::Beam<_, _>| -> Vec<Vec<f32>> {
            let thought: &fathom_model::huginn::RecurrentThought = &beam.thought;
            Latent::to_rows(thought.latents()).unwrap()
        };
        beams.iter().map(|beam| (rows(beam), beam.score)).collect::<Vec<_>>()
    };
    let device = Device::emulated().unwrap();
    for every in [1, 2] {
        for ((ours, score), (cpus, expected)) in
            found(&device, every).into_iter().zip(found(&Device::Cpu, every))
        {
            // A few layers of sums in another order, magnified by what follows them (docs/numerics.md).
            assert!((score - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{score} for {expected}");
            let pairs = ours.iter().flatten().zip(cpus.iter().flatten());
            assert!(
                pairs.into_iter().all(|(x, y)| (x - y).abs() <= 1e-4 * y.abs().max(1.0)),
                "every {every}"
            );
        }
    }
}

/// A thought that is forked is the one that would have come of it alone.
#[test]
fn a_duplicate_goes_on_as_its_original() {
    each(|huginn, _, thinking| {
        let draws = draws(3, &PROMPT, Stream::Trajectory, [0]);
        let mut original = huginn.prefill(&PROMPT, 3, &draws, 3, thinking.perturbation).unwrap();
        let go_on = |thoughts: Vec<_>| {
            let branches = thoughts.into_iter();
            let branches = branches
                .map(|thought| fathom_model::reasoner::Branch { thought, draws: draws.clone() })
                .collect();
            huginn.step(branches, thinking.perturbation).unwrap().remove(0)
        };
        original = go_on(original);
        let mut copy = vec![original[0].duplicate().unwrap()];
        for _ in 1..3 {
            (original, copy) = (go_on(original), go_on(copy));
        }
        assert_eq!(bits(original[0].latents()), bits(copy[0].latents()), "{thinking:?}");
        let answer = |thoughts| huginn.read_out(thoughts, 4, thinking.perturbation).unwrap();
        assert_eq!(answer(original), answer(copy), "{thinking:?}");
    });
}
