//! Where a reward model begins: the body of its generator, or its first layers, and a head that is new.

use std::collections::BTreeMap;

use fathom::Device;
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, StepScore},
    folder::Folder,
};
use serde_json::{Value, json};

use super::config::Loss;
use crate::{
    error::{Error, Result},
    initial::Initial,
    objective::reward::Reward,
    parameters::{Init, Source},
    run::BESIDE,
};

/// Tensors of the generator, but for the head.
struct Beginning<'a> {
    generator: &'a Checkpoint,
    head: Initial,
}

impl Source for Beginning<'_> {
    fn read(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let mut generator = self.generator;
        if name.starts_with("classifier.") {
            self.head.read(name, shape, init)
        } else {
            Source::read(&mut generator, name, shape, init)
        }
    }

    fn name<'n>(&self, names: &[&'n str]) -> &'n str {
        Source::name(&self.generator, names)
    }
}

/// The reward model of the generator in `folder` before its first step, and the files that stand beside its weights.
///
/// # Errors
/// A folder that is no latent chain's; more layers than it has.
pub(super) fn begin(
    folder: &Folder,
    layers: Option<usize>,
    (loss, seed): (Loss, u64),
    device: &Device,
) -> Result<(Reward, BTreeMap<String, Vec<u8>>)> {
    let mut config = Config::read(folder)?;
    let generator = Checkpoint::open(folder)?;
    let mut beside = BTreeMap::new();
    for name in BESIDE {
        if let Some(bytes) = folder.read(name)? {
            beside.insert(name.to_owned(), bytes.to_vec());
        }
    }
    let projector = projector(&generator);
    let all = match &mut config {
        Config::Gpt2(config) => {
            config.projector = projector.is_some();
            config.projector_width = projector;
            &mut config.layers
        }
        Config::Llama(config) => &mut config.layers,
        Config::Huginn(_) => {
            return Err(Error::Option { option: "model", what: "is recurrent depth".into() });
        }
    };
    let kept = layers.unwrap_or(*all);
    if kept > *all {
        let what = format!("{kept} of a body of {all}");
        return Err(Error::Option { option: "layers", what });
    }
    *all = kept;
    if let Some(text) = beside.get_mut("config.json") {
        *text = described(text, (kept, loss), projector, &folder.path_of("config.json"))?;
    }
    let mut beginning = Beginning { generator: &generator, head: Initial { seed } };
    Ok((Reward::new(&config, &mut beginning, device)?, beside))
}

/// Hidden width of CODI's projector where there is one, whatever the configuration says (spec latenttts §9.13).
fn projector(generator: &Checkpoint) -> Option<usize> {
    let names = ["projector.1.weight", "prj.1.weight"];
    names.iter().find_map(|name| generator.shape(name)?.first().copied())
}

/// The configuration of the generator as that of a reward model of so many layers.
fn described(
    text: &[u8],
    (layers, loss): (usize, Loss),
    projector: Option<usize>,
    place: &str,
) -> Result<Vec<u8>> {
    let malformed = |error: serde_json::Error| fathom_model::Error::Format {
        path: place.to_owned(),
        what: error.to_string(),
    };
    let mut config: Value = serde_json::from_slice(text).map_err(malformed)?;
    for key in ["n_layer", "num_hidden_layers"] {
        if let Some(value) = config.get_mut(key) {
            *value = json!(layers);
        }
    }
    if loss.step_score() != StepScore::default() {
        config[StepScore::KEY] = json!(loss.step_score().name());
    }
    if let Some(inner) = projector {
        config["projector"] = json!(true);
        config["projector_hidden_size"] = json!(inner);
    }
    if let Some(Value::String(class)) = config.pointer_mut("/architectures/0") {
        class.push_str("ForTokenClassification");
    }
    Ok(serde_json::to_vec_pretty(&config).map_err(malformed)?)
}
