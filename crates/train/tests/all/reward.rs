//! Runs that train a reward model: what they leave, and that a run that was stopped ends as one that was not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use fathom::{DType, Device, ops::embedding::Input};
use fathom_model::{config::Config, folder::Folder, latent_rm::LatentRm, latents::Latent, load::Model};
use fathom_search::scorer::trajectory_scores;
use fathom_train::{
    Error,
    annotate::{
        AnnotateConfig, placeholder,
        shards::{self, Annotations},
    },
    checkpoint::Checkpoints,
    objective::reward::{Reward, Thoughts},
    reward::{Line, RewardConfig, RewardRun},
    run::LOG,
};
use tempfile::TempDir;

use crate::prepared::{prepared, prepared_depth};

/// In words of its own: with the configuration text changed.
fn changed(place: &TempDir, from: &str, to: &str) -> RewardConfig {
    let text = fs::read_to_string(place.path().join("rm.toml")).unwrap();
    assert!(text.contains(from), "{from}");
    let path = place.path().join("changed.toml");
    fs::write(&path, text.replace(from, to)).unwrap();
    RewardConfig::read(&path).unwrap()
}

fn open(config: &RewardConfig, out: &Path) -> RewardRun {
    RewardRun::open(config.clone(), out, &Device::Cpu, |_, _| ()).unwrap()
}

/// The last checkpoint and the best one.
fn finish(config: &RewardConfig, out: &Path) -> [PathBuf; 2] {
    let best = open(config, out).finish(|_, _| ()).unwrap();
    [Checkpoints::new(&out.join("checkpoints")).unwrap().last().unwrap().unwrap(), best]
}

/// The log but for what the clock says.
fn told(folder: &Path) -> Vec<Line> {
    let still = |line| match line {
        Line::Step { step, loss, norm, lr, .. } => Line::Step { step, loss, norm, lr, speed: 0.0 },
        other => other,
    };
    let text = fs::read_to_string(folder.join(LOG)).unwrap();
    text.lines().map(|line| still(serde_json::from_str(line).unwrap())).collect()
}

fn same(ours: &Path, theirs: &Path, files: &[&str]) {
    for file in files {
        let [ours, theirs] = [ours, theirs].map(|folder| fs::read(folder.join(file)).unwrap());
        assert!(ours == theirs, "{file}");
    }
}

#[test]
fn a_run_that_was_stopped_ends_the_same() {
    for (place, config) in [prepared(), prepared_depth()] {
        stopped_ends_the_same(&place, &config);
    }
}

fn stopped_ends_the_same(place: &TempDir, config: &RewardConfig) {
    let whole = place.path().join("whole");
    let [last, best] = finish(config, &whole);
    for stop in 1..6 {
        let out = place.path().join(format!("stopped-{stop}"));
        let mut run = open(config, &out);
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            run.finish(|step, line| assert!(step < stop || line.is_some(), "stopped")).unwrap()
        }));
        assert!(stopped.is_err());
        drop(run);
        for torn in ["checkpoints/partial", "best.partial", "best.gone"] {
            fs::create_dir_all(out.join(torn)).unwrap();
            fs::write(out.join(torn).join("model.safetensors"), "half a file").unwrap();
        }
        let [resumed, chosen] = finish(config, &out);
        same(
            &resumed,
            &last,
            &["model.safetensors", "optimizer.safetensors", "training.json", "config.json"],
        );
        same(&chosen, &best, &["model.safetensors", "config.json", "tokenizer.json"]);
        assert_eq!(told(&out), told(&whole), "stopped at {stop}");
    }
    let losses: Vec<f64> = told(&whole)
        .into_iter()
        .filter_map(|line| if let Line::Step { loss, .. } = line { Some(loss) } else { None })
        .collect();
    assert_eq!(losses.len(), 6);
}

#[test]
fn threads_do_not_matter() {
    for (place, config) in [prepared(), prepared_depth()] {
        let [one, three] = [1, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let out = place.path().join(format!("threads-{threads}"));
            pool.install(|| finish(&config, &out))[0].clone()
        });
        same(&one, &three, &["model.safetensors", "optimizer.safetensors"]);
    }
}

/// What inference makes of a checkpoint is what training had, and a prompt that trajectories share is each one's own.
#[test]
fn checkpoints_score_as_in_training() {
    for (place, config) in [prepared(), prepared_depth()] {
        let [_, best] = finish(&config, &place.path().join("out"));
        let folder = Folder::open(&best).unwrap();
        match Config::read(&folder).unwrap() {
            Config::Huginn(shape) => assert_eq!(shape.iterations, 2),
            Config::Gpt2(shape) => assert_eq!(shape.layers, 2),
            Config::Llama(_) => panic!("neither body"),
        }
        scores_as_in_training(&config, &folder);
    }
}

fn scores_as_in_training(config: &RewardConfig, folder: &Folder) {
    let inference = LatentRm::open(folder, &Device::Cpu, DType::F32).unwrap();
    let checkpoint = fathom_model::checkpoint::Checkpoint::open(folder).unwrap();
    let training = Reward::load(&Config::read(folder).unwrap(), &checkpoint, &Device::Cpu).unwrap();
    let annotations = Annotations::open(&config.annotations).unwrap();
    let latent = latent_of(config);
    let kept: Vec<usize> = annotations.kept().collect();
    let read: Vec<_> =
        kept.iter().map(|&index| annotations.read(index, latent, &Device::Cpu).unwrap()).collect();
    let rows = |question: &shards::Labelled| -> Vec<Latent> {
        question
            .latents
            .to_rows()
            .unwrap()
            .into_iter()
            .map(|z| Latent::new(&Device::Cpu, z).unwrap())
            .collect()
    };
    let latents: Vec<Vec<Latent>> = read.iter().map(rows).collect();
    let steps = read[0].lengths[0];
    let thoughts: Vec<Thoughts<'_>> = read
        .iter()
        .zip(&latents)
        .map(|(question, latents)| Thoughts {
            prompt: &question.prompt,
            trajectories: latents.chunks(steps).map(|one| one.iter().map(Latent::input).collect()).collect(),
        })
        .collect();
    let ours = training.scores(&thoughts).unwrap();
    let mut ours = ours.iter().map(|r| r.iter().sum::<f32>());
    for (question, latents) in read.iter().zip(&latents) {
        let views: Vec<&[Latent]> = latents.chunks(steps).collect();
        for theirs in trajectory_scores(&inference, &question.prompt, &views).unwrap() {
            let ours = ours.next().unwrap();
            // The same sums of a few hundred products in another order.
            assert!((ours - theirs).abs() <= 1e-5 * theirs.abs().max(1.0), "{ours} {theirs}");
        }
    }
}

/// What stands for a latent in annotations of the configuration's generator.
fn latent_of(config: &RewardConfig) -> u32 {
    let folder = Folder::open(&config.model).unwrap();
    placeholder(&Model::load(&folder, &Device::Cpu, DType::F32).unwrap())
}

/// Questions of one batch do not touch each other, whatever the lengths of their prompts and thoughts.
#[test]
fn gradients_of_questions_add_up() {
    for (place, config) in [prepared(), prepared_depth()] {
        gradients_add_up(&place, &config);
    }
}

fn gradients_add_up(place: &TempDir, config: &RewardConfig) {
    let [_, best] = finish(config, &place.path().join("out"));
    let folder = Folder::open(&best).unwrap();
    let checkpoint = fathom_model::checkpoint::Checkpoint::open(&folder).unwrap();
    let shape = Config::read(&folder).unwrap();
    let model = Reward::load(&shape, &checkpoint, &Device::Cpu).unwrap();
    let annotations = Annotations::open(&config.annotations).unwrap();
    let latent = latent_of(config);
    let read = |index: usize| annotations.read(index, latent, &Device::Cpu).unwrap();
    let read: Vec<shards::Labelled> = annotations.kept().take(3).map(read).collect();
    let lengths = [[3, 1, 0, 2], [1, 3, 3, 3], [2, 0, 0, 0]];
    let thoughts: Vec<Thoughts<'_>> = read
        .iter()
        .zip(lengths)
        .map(|(question, lengths)| {
            let rows = |(n, count): (usize, usize)| 3 * n..3 * n + count;
            let input = |row| Input::Row(&question.latents, row);
            let trajectories = lengths.into_iter().enumerate().map(|of| rows(of).map(input).collect());
            Thoughts { prompt: &question.prompt, trajectories: trajectories.collect() }
        })
        .collect();
    // Σ r² / 2 over all logits: every one of them has a gradient of its own.
    let judge = |scores: &[Vec<f32>]| {
        let gradients: Vec<Vec<f64>> =
            scores.iter().map(|of| of.iter().map(|&r| f64::from(r)).collect()).collect();
        (gradients.iter().flatten().map(|r| r * r / 2.0).sum(), gradients)
    };
    let of = |questions: &[&[Thoughts<'_>]]| {
        let mut gradients = model.parameters().gradients().unwrap();
        let losses = questions.iter().map(|one| model.loss(one, judge, &mut gradients).unwrap());
        (losses.sum::<f64>(), gradients)
    };
    let (together, all) = of(&[&thoughts]);
    let (apart, sum) = of(&[&thoughts[..1], &thoughts[1..2], &thoughts[2..]]);
    assert!((together - apart).abs() <= 1e-9 * apart, "{together} {apart}");
    for id in model.parameters().ids() {
        let pairs = || all[id].data().iter().zip(sum[id].data()).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        let norm = pairs().map(|(a, _)| a * a).sum::<f64>().sqrt();
        let error = pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
        // Sums over some hundred rows in f32, formed in another order.
        assert!(error <= 1e-5 * norm + 1e-6, "{}: {error} of {norm}", model.parameters().name(id));
    }
}

/// Both losses and both labels learn what they are shown.
#[test]
fn losses_fall() {
    let (place, _) = prepared();
    for (loss, labels) in [("contrastive", "rollouts"), ("contrastive", "final"), ("bce", "rollouts")] {
        let mut config =
            changed(&place, "layers = 2", &format!("layers = 1\nloss = {loss:?}\nlabels = {labels:?}"));
        (config.steps, config.batch) = (30, 4);
        let out = place.path().join(format!("{loss}-{labels}"));
        finish(&config, &out);
        let losses: Vec<f64> = told(&out)
            .into_iter()
            .filter_map(|line| if let Line::Step { loss, .. } = line { Some(loss) } else { None })
            .collect();
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[24..]) < mean(&losses[..6]), "{loss} {labels}: {losses:?}");
    }
}

#[test]
fn patience_ends_a_run_and_its_end_stays() {
    let (place, _) = prepared();
    let mut config = changed(&place, "layers = 2", "layers = 2\npatience = 2");
    // Nothing gets better than the beginning where next to nothing changes.
    config.optimizer.lr = 1e-12;
    config.steps = 100;
    let out = place.path().join("out");
    let [last, _] = finish(&config, &out);
    assert!(last.ends_with("step-00000006"), "{}", last.display());
    assert_eq!(finish(&config, &out)[0], last);
}

#[test]
fn what_is_not_finite_stops_the_run() {
    let (place, mut config) = prepared();
    config.optimizer.lr = 1e30;
    config.optimizer.clip = None;
    config.schedule = fathom_train::schedule::Schedule::Trapezoid { warmup: 0, cooldown: 0 };
    let error = open(&config, &place.path().join("out")).finish(|_, _| ()).unwrap_err().to_string();
    assert!(error.contains("at step") && error.contains("last good checkpoint"), "{error}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (place, config) = prepared();
    let out = place.path().join("out");
    finish(&config, &out);
    let refused =
        |config: RewardConfig, out: &Path| RewardRun::open(config, out, &Device::Cpu, |_, _| ()).unwrap_err();
    let error = refused(changed(&place, "seed = 5", "seed = 6"), &out);
    assert!(matches!(&error, Error::Option { option: "out", .. }), "{error}");
    let fresh = place.path().join("fresh");
    let error = refused(changed(&place, "layers = 2", "iterations = 2"), &fresh).to_string();
    assert!(error.contains("iterations: are of recurrent depth"), "{error}");
    let (depth, _) = prepared_depth();
    let error = refused(changed(&depth, "iterations = 2", "layers = 1"), &fresh).to_string();
    assert!(error.contains("layers: recurrent depth keeps all"), "{error}");
    let error = refused(changed(&place, "layers = 2", "layers = 4"), &fresh).to_string();
    assert!(error.contains("layers: 4 of a body of 3"), "{error}");

    // Other annotations in the same place.
    let setup = place.path().join("annotations/annotation_on0.json");
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, text.replace("\"rollouts\":2", "\"rollouts\":3")).unwrap();
    let error = refused(config.clone(), &out);
    assert!(matches!(&error, Error::Option { option: "out", .. }), "{error}");
    fs::write(&setup, text.replace("\"count\":1", "\"count\":2")).unwrap();
    assert!(refused(config.clone(), &fresh).to_string().contains("annotation_on1.json"));
    fs::write(&setup, text).unwrap();
    fs::remove_file(place.path().join("annotations/1_on0.safetensors")).unwrap();
    let error = refused(config, &fresh).to_string();
    assert!(error.contains("1_on0.safetensors is missing"), "{error}");
}

#[test]
fn configurations_name_what_is_wrong() {
    let (place, _) = prepared();
    let good = fs::read_to_string(place.path().join("rm.toml")).unwrap();
    let path = place.path().join("bad.toml");
    for (from, to, culprit) in [
        ("batch = 2", "batch = 0", "batch"),
        ("layers = 2", "layers = 0", "layers"),
        ("layers = 2", "iterations = 0", "iterations"),
        ("layers = 2", "loss = \"hinge\"", "hinge"),
        ("batch = 2", "batch = 2\nbatches = 4", "batches"),
        ("[\"annotations\"]", "[]", "annotations"),
        ("std = 0.4", "std = -1.0", "validation.sampling.perturbation.std"),
        ("trajectories = 4", "trajectories = 0", "validation.sampling.trajectories"),
        ("lr = 1e-3", "lr = 0.0", "optimizer.lr"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = RewardConfig::read(&path).unwrap_err().to_string();
        assert!(error.contains(culprit) && error.contains("bad.toml"), "{to}: {error}");
    }
    let good = fs::read_to_string(place.path().join("annotate.toml")).unwrap();
    for (from, to, culprit) in [
        ("rollouts = 2", "rollouts = 0", "rollouts"),
        ("questions-a-file = 5", "questions-a-file = 0", "questions-a-file"),
        ("\"noise\", std = 0.4, scope = \"full\"", "\"none\"", "sampling.perturbation.sampler"),
        ("seed = 2", "sede = 2", "sede"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replace(from, to)).unwrap();
        let error = AnnotateConfig::read(&path).unwrap_err().to_string();
        assert!(error.contains(culprit) && error.contains("bad.toml"), "{to}: {error}");
    }
}
