//! What runs that train a reward model begin with.

use std::{fs, path::Path};

use fathom::{DType, Device};
use fathom_model::{folder::Folder, load::Model};
use fathom_search::dataset;
use fathom_train::{
    annotate::{AnnotateConfig, Annotator, Part, Setup, shards},
    data::{Difficulty, generate},
    reward::RewardConfig,
};
use tempfile::TempDir;

/// A folder with annotations of some questions, and a configuration beside them.
pub(crate) fn prepared() -> (TempDir, RewardConfig) {
    let absolute = |path: &str| fs::canonicalize(Path::new("../..").join(path)).unwrap();
    let (model, data) = (absolute("models/abacus-coconut"), absolute("data/abacus_test.json"));
    let sampling =
        r#"{ seed = 2, trajectories = 4, perturbation = { sampler = "noise", std = 0.4, scope = "full" } }"#;
    prepared_with(tempfile::tempdir().unwrap(), [&model, &data], sampling, "layers = 2")
}

/// The same of recurrent depth, on generated problems.
pub(crate) fn prepared_depth() -> (TempDir, RewardConfig) {
    let place = tempfile::tempdir().unwrap();
    let model = fs::canonicalize("../../models/tally-depth").unwrap();
    let data = place.path().join("problems.jsonl");
    let difficulty =
        Difficulty { numbers: 1..=9, factors: 2..=3, persons: 1..=1, limit: 40, ..Difficulty::default() };
    let lines =
        (0..16).map(|index| serde_json::to_string(&generate(8, index, &difficulty).unwrap()).unwrap() + "\n");
    fs::write(&data, lines.collect::<String>()).unwrap();
    let sampling = r#"{ seed = 2, trajectories = 4, steps = 3, max-answer-tokens = 4, perturbation = { sampler = "noise", std = 5.0, scope = "latent" } }"#;
    prepared_with(place, [&model, &data], sampling, "iterations = 2")
}

fn prepared_with(
    place: TempDir,
    [model, data]: [&Path; 2],
    sampling: &str,
    size: &str,
) -> (TempDir, RewardConfig) {
    let text = format!(
        "model = {model:?}\ndata = {data:?}\nquestions = 14\nrollouts = 2\nquestions-a-file = 5\nsampling = {sampling}"
    );
    let path = place.path().join("annotate.toml");
    fs::write(&path, text).unwrap();
    let config = AnnotateConfig::read(&path).unwrap();
    let out = place.path().join("annotations");
    fs::create_dir(&out).unwrap();
    let generator = Model::load(&Folder::open(&config.model).unwrap(), &Device::Cpu, DType::F32).unwrap();
    let annotator = Annotator::new(generator, config.sampling, config.rollouts, config.keep).unwrap();
    let questions = dataset::read(&config.data).unwrap().questions;
    let setup = Setup {
        version: "0".into(),
        model: "a model".into(),
        device: "cpu".into(),
        data: "a data set".into(),
        questions: 14,
        rollouts: config.rollouts,
        keep: config.keep,
        questions_a_file: config.questions_a_file,
        sampling: config.sampling,
        part: Part { index: 1, count: 1 },
    };
    let indices: Vec<usize> = setup.indices().collect();
    assert_eq!((indices.len(), setup.files()), (14, 3));
    for (k, file) in indices.chunks(5).enumerate() {
        let file: Vec<_> = file.iter().map(|&i| annotator.annotate(&questions[i]).unwrap()).collect();
        fs::write(out.join(shards::name(k, 0)), shards::encode(&file).unwrap()).unwrap();
    }
    fs::write(out.join(setup.name()), serde_json::to_string(&setup).unwrap()).unwrap();

    let text = format!(
        r#"
seed = 5
steps = 6
batch = 2
model = {model:?}
annotations = ["annotations"]
{size}
schedule = {{ shape = "cosine", warmup = 2 }}
progress = {{ log = 1, validate = 3, checkpoint = 2 }}
[validation]
data = {data:?}
questions = 5
sampling = {sampling}
[optimizer]
lr = 1e-3
clip = 1.0
rule = {{ kind = "adamw", betas = [0.9, 0.999], eps = 1e-8, weight-decay = 0.0 }}
"#
    );
    let path = place.path().join("rm.toml");
    fs::write(&path, text).unwrap();
    let config = RewardConfig::read(&path).unwrap();
    (place, config)
}
