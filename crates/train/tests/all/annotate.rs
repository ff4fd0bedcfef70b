//! Values of prefixes, beside rollouts that are run one by one from their documented coordinates.

use std::path::Path;

use fathom::{
    DType, Device,
    random::{Draw, Stream, key},
};
use fathom_model::{
    folder::Folder,
    latent::{ChainThought, LatentChain},
    load::{Model, Network},
    perturbation::{Perturbation, Scope, Sites},
    reasoner::{Branch, Reasoner, Thought},
};
use fathom_search::{
    dataset::{self, Question},
    prompt::Dialogue,
};
use fathom_train::{
    annotate::{
        Annotation, Annotator, Keep, Sampling, placeholder,
        shards::{self, Annotations},
    },
    data::{Difficulty, generate},
};

const N: usize = 4;
const M: usize = 3;
const T: usize = 3;
const SEED: u64 = 11;
const BUDGET: usize = 12;

const NOISE: Perturbation = Perturbation::Noise { std: 0.5, scope: Scope::Full };
const LATENT: Perturbation = Perturbation::Dropout { p: 0.2, sites: Sites::Resid, scope: Scope::Latent };
const PUBLISHED: Perturbation = Perturbation::Dropout { p: 0.1, sites: Sites::ResidEmbd, scope: Scope::Full };

fn model() -> Model {
    let folder = Folder::open(Path::new("../../models/abacus-coconut")).unwrap();
    Model::load(&folder, &Device::Cpu, DType::F32).unwrap()
}

fn questions(count: usize) -> Vec<Question> {
    let mut questions = dataset::read(Path::new("../../data/abacus_test.json")).unwrap().questions;
    questions.truncate(count);
    questions
}

fn annotator(perturbation: Perturbation, keep: Keep) -> Annotator {
    let sampling =
        Sampling { seed: SEED, trajectories: N, perturbation, steps: Some(T), max_answer_tokens: BUDGET };
    Annotator::new(model(), sampling, M, keep).unwrap()
}

fn one_step(
    chain: &LatentChain,
    thought: ChainThought,
    draw: Draw,
    perturbation: Perturbation,
) -> ChainThought {
    let branch = Branch { thought, draws: vec![draw] };
    chain.step(vec![branch], perturbation).unwrap().remove(0).remove(0)
}

/// Whether rollout m behind z_t of trajectory n is right, all by itself.
fn rollout(model: &Model, question: &Question, perturbation: Perturbation, [n, m, t]: [usize; 3]) -> bool {
    let Network::Chain(chain) = &model.network else { panic!("a chain") };
    let dialogue = Dialogue::of(model).unwrap();
    let prompt = dialogue.prompt(&question.question).unwrap();
    let draw =
        |stream, trajectory: usize| Draw { key: key(SEED, &prompt, stream), trajectory: trajectory as u32 };
    let own = draw(Stream::Trajectory, n);
    let mut thought = chain.prefill(&prompt, T, &[own], SEED, perturbation).unwrap().remove(0);
    for _ in 1..t {
        thought = one_step(chain, thought, own, perturbation);
    }
    let of_rollout = draw(Stream::Rollout(t as u32), n * M + m);
    if perturbation != LATENT {
        // From the latents alone: under noise their keys and values are what they were, in the published form drawn anew.
        let latents = thought.latents().to_vec();
        thought = chain.recall(&prompt, &latents, &[of_rollout], perturbation).unwrap().remove(0);
    }
    for _ in t..T {
        thought = one_step(chain, thought, of_rollout, perturbation);
    }
    let answer = match perturbation == PUBLISHED {
        true => chain.answer_perturbed(vec![thought], BUDGET, perturbation),
        false => chain.read_out(vec![thought], BUDGET, perturbation),
    };
    dialogue.value(&[], 0, &answer.unwrap()[0]).unwrap() == question.target
}

#[test]
fn values_are_those_of_rollouts_run_one_by_one() {
    let model = model();
    for perturbation in [NOISE, LATENT, PUBLISHED] {
        let annotator = annotator(perturbation, Keep::Mixed);
        let (mut kept, mut between) = (0, 0);
        for question in questions(10) {
            let annotation = annotator.annotate(&question).unwrap();
            let mixed = annotation.correct.contains(&true) && annotation.correct.contains(&false);
            assert_eq!(annotation.kept.is_some(), mixed);
            let Some(of_question) = annotation.kept else { continue };
            kept += 1;
            for n in 0..N {
                for t in 1..=T {
                    let right = (0..M).filter(|&m| rollout(&model, &question, perturbation, [n, m, t]));
                    let value = right.count() as f32 / M as f32;
                    assert_eq!(of_question.estimations[n][t - 1], value, "{perturbation:?} {n} {t}");
                    between += usize::from(value > 0.0 && value < 1.0);
                }
                if perturbation != PUBLISHED {
                    // Behind the last latent nothing is left to chance.
                    let end = f32::from(u8::from(annotation.correct[n]));
                    assert_eq!(of_question.estimations[n][T - 1], end, "{perturbation:?} {n}");
                }
            }
        }
        assert!(kept >= 2 && between >= 2, "{perturbation:?}: {kept} kept, {between} values between 0 and 1");
    }
}

/// Problems of the kind that `tally-depth` answers, with their places.
fn problems(count: usize) -> Vec<Question> {
    let difficulty =
        Difficulty { numbers: 1..=9, factors: 2..=3, persons: 1..=1, limit: 40, ..Difficulty::default() };
    let problem = |index: usize| {
        let problem = generate(8, index as u64, &difficulty).unwrap();
        Question { index, question: problem.question, target: problem.answer.parse().unwrap() }
    };
    (0..count).map(problem).collect()
}

/// Rollouts behind a state of recurrent depth, each by itself: what came before it is the trajectory's own, and behind the last
/// one nothing is drawn, nor behind any where s_0 alone differs.
#[test]
fn values_of_states_are_those_of_rollouts_run_one_by_one() {
    let load = || {
        let folder = Folder::open(Path::new("../../models/tally-depth")).unwrap();
        Model::load(&folder, &Device::Cpu, DType::F32).unwrap()
    };
    let model = load();
    let Network::Huginn(huginn) = &model.network else { panic!("recurrent depth") };
    let dialogue = Dialogue::of(&model).unwrap();
    for (perturbation, steps) in [
        (Perturbation::Noise { std: 5.0, scope: Scope::Latent }, 3),
        (Perturbation::Noise { std: 1.5, scope: Scope::Full }, 2),
        (Perturbation::Dropout { p: 0.8, sites: Sites::Resid, scope: Scope::Latent }, 3),
        (Perturbation::State, 1),
    ] {
        let sampling =
            Sampling { seed: SEED, trajectories: N, perturbation, steps: Some(steps), max_answer_tokens: 4 };
        let annotator = Annotator::new(load(), sampling, M, Keep::All).unwrap();
        let (mut between, mut wrong) = (0, 0);
        for question in problems(8) {
            let annotation = annotator.annotate(&question).unwrap();
            let kept = annotation.kept.unwrap();
            let prompt = dialogue.prompt(&question.question).unwrap();
            let draw = |stream, trajectory: usize| Draw {
                key: key(SEED, &prompt, stream),
                trajectory: trajectory as u32,
            };
            let certain = perturbation == Perturbation::State;
            assert_eq!(annotation.rollouts, if certain { 0 } else { N * M * (steps - 1) });
            for n in 0..N {
                let right = |of: &[Draw], until: usize| {
                    let own = draw(Stream::Trajectory, n);
                    let mut thought =
                        huginn.prefill(&prompt, steps, &[own], SEED, perturbation).unwrap().remove(0);
                    for step in 0..steps {
                        let draws = if step < until { vec![own] } else { of.to_vec() };
                        let branch = Branch { thought, draws };
                        thought = huginn.step(vec![branch], perturbation).unwrap().remove(0).remove(0);
                    }
                    let answer = huginn.read_out(vec![thought], 4, perturbation).unwrap();
                    dialogue.value(&[], 0, &answer[0]).unwrap() == question.target
                };
                assert_eq!(right(&[], steps), annotation.correct[n], "{perturbation:?} {n}");
                wrong += usize::from(!annotation.correct[n]);
                for t in 1..=steps {
                    let value = match t == steps || certain {
                        true => f32::from(u8::from(annotation.correct[n])),
                        false => {
                            let draws = (0..M).map(|m| draw(Stream::Rollout(t as u32), n * M + m));
                            draws.filter(|&draw| right(&[draw], t)).count() as f32 / M as f32
                        }
                    };
                    assert_eq!(kept.estimations[n][t - 1], value, "{perturbation:?} {n} {t}");
                    between += usize::from(value > 0.0 && value < 1.0);
                }
            }
            // Its ids tell prompt and states apart, whatever tokens there are.
            let row = &kept.ids[0];
            assert!(
                row.starts_with(&prompt) && row[prompt.len()..][..steps] == vec![placeholder(&model); steps]
            );
            assert!(!prompt.contains(&placeholder(&model)));
        }
        assert!(wrong > 0, "{perturbation:?}: all are right");
        assert!(
            perturbation == Perturbation::State || between > 0,
            "{perturbation:?}: no value between 0 and 1"
        );
    }
}

/// Trajectories are those of inference, and what is left of them reads back.
#[test]
fn files_read_back() {
    let annotator = annotator(NOISE, Keep::Mixed);
    let annotations: Vec<Annotation> =
        questions(8).iter().map(|question| annotator.annotate(question).unwrap()).collect();
    let place = tempfile::tempdir().unwrap();
    for (k, file) in annotations.chunks(3).enumerate() {
        std::fs::write(place.path().join(shards::name(k, 0)), shards::encode(file).unwrap()).unwrap();
    }
    let read = Annotations::open(&[place.path().to_owned()]).unwrap();
    assert_eq!(read.len(), 8);
    let kept: Vec<&Annotation> = annotations.iter().filter(|one| one.kept.is_some()).collect();
    assert_eq!(read.kept().collect::<Vec<_>>(), kept.iter().map(|one| one.index).collect::<Vec<_>>());
    let (dialogue, latent) =
        (Dialogue::of(annotator.model()).unwrap(), annotator.model().ids.latent.unwrap());
    for one in kept {
        let found = read.read(one.index, latent, &Device::Cpu).unwrap();
        let of_question = one.kept.as_ref().unwrap();
        assert_eq!(found.prompt, dialogue.prompt(&questions(8)[one.index].question).unwrap());
        assert_eq!(found.lengths, [T; N]);
        assert_eq!((&found.correct, &found.estimations), (&one.correct, &of_question.estimations));
        assert_eq!(found.latents.data(), of_question.latents.concat().concat());
        assert!(of_question.ids.iter().all(|row| row.len() == of_question.ids[0].len()));
    }
    let discarded = annotations.iter().find(|one| one.kept.is_none()).unwrap().index;
    for absent in [discarded, 99] {
        let error = read.read(absent, latent, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(&format!("question {absent} is not kept")), "{error}");
    }
    std::fs::copy(place.path().join(shards::name(0, 0)), place.path().join(shards::name(0, 1))).unwrap();
    let error = Annotations::open(&[place.path().to_owned()]).unwrap_err().to_string();
    assert!(error.contains("0_on1") && error.contains("question 0 stands in"), "{error}");
}

/// What a model cannot do is refused, and one of other latents has as many values as latents.
#[test]
fn other_models() {
    let bundled = Path::new("../../models/abacus-coconut");
    let fixture = |name: &str| {
        let place = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            let from = Path::new("../../tests/fixtures").join(name).join(file);
            std::fs::copy(from, place.path().join(file)).unwrap();
        }
        std::fs::copy(bundled.join("tokenizer.json"), place.path().join("tokenizer.json")).unwrap();
        Model::load(&Folder::open(place.path()).unwrap(), &Device::Cpu, DType::F32).unwrap()
    };
    let sampling =
        Sampling { seed: 1, trajectories: 3, perturbation: NOISE, steps: Some(2), max_answer_tokens: 4 };
    let state = Sampling { perturbation: Perturbation::State, ..sampling };
    let error = Annotator::new(fixture("codi-tiny"), state, 2, Keep::All).unwrap_err().to_string();
    assert!(error.contains("sampling.perturbation") && error.contains("lacks"), "{error}");
    for perturbation in [NOISE, PUBLISHED] {
        let sampling = Sampling { perturbation, ..sampling };
        let annotator = Annotator::new(fixture("codi-tiny"), sampling, 2, Keep::All).unwrap();
        let annotation = annotator.annotate(&questions(1)[0]).unwrap();
        let kept = annotation.kept.unwrap();
        assert_eq!(kept.estimations.len(), 3);
        // A model of random weights is right by no rollout.
        assert!(kept.estimations.iter().flatten().all(|&value| value == 0.0));
        // Three trajectories of two steps; behind the last one under noise nothing is drawn.
        assert_eq!(annotation.rollouts, if perturbation == NOISE { 6 } else { 12 });
    }
}
