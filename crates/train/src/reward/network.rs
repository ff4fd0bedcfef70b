//! Where a reward model begins: the body of its generator, or its first layers, and a head that is new.

use std::collections::BTreeMap;

use fathom::Device;
use fathom_model::{
    checkpoint::Checkpoint,
    config::{Config, HuginnConfig, StepScore},
    folder::Folder,
};
use serde_json::{Value, json};

use super::config::{Loss, RewardConfig};
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
/// More layers than it has; layers of recurrent depth, or iterations of a latent chain.
pub(super) fn begin(
    folder: &Folder,
    config: &RewardConfig,
    device: &Device,
) -> Result<(Reward, BTreeMap<String, Vec<u8>>)> {
    let RewardConfig { layers, iterations, loss, seed, .. } = *config;
    let mut config = Config::read(folder)?;
    let generator = Checkpoint::open(folder)?;
    let mut beside = BTreeMap::new();
    for name in BESIDE {
        if let Some(bytes) = folder.read(name)? {
            beside.insert(name.to_owned(), bytes.to_vec());
        }
    }
    let projector = projector(&generator);
    let lacks = |option, what: &str| Err(Error::Option { option, what: what.to_owned() });
    let all = match &mut config {
        Config::Gpt2(config) => {
            config.projector = projector.is_some();
            config.projector_width = projector;
            Some(&mut config.layers)
        }
        Config::Llama(config) => Some(&mut config.layers),
        Config::Huginn(config) => {
            config.iterations = iterations.unwrap_or(1);
            None
        }
    };
    let size = match (all, layers, iterations) {
        (Some(_), _, Some(_)) => return lacks("iterations", "are of recurrent depth, which the model lacks"),
        (None, Some(_), _) => return lacks("layers", "recurrent depth keeps all of its blocks"),
        (Some(all), layers, None) => {
            let kept = layers.unwrap_or(*all);
            if kept > *all {
                return lacks("layers", &format!("{kept} of a body of {all}"));
            }
            *all = kept;
            Size::Layers(kept)
        }
        (None, None, _) => Size::Iterations(iterations.unwrap_or(1)),
    };
    if let Some(text) = beside.get_mut("config.json") {
        *text = described(text, (size, loss), projector, &folder.path_of("config.json"))?;
    }
    let mut beginning = Beginning { generator: &generator, head: Initial { seed } };
    Ok((Reward::new(&config, &mut beginning, device)?, beside))
}

/// What of the generator a reward model has.
#[derive(Debug, Clone, Copy)]
enum Size {
    /// The first so many layers of a chain's body.
    Layers(usize),
    /// Recurrent depth, with so many iterations of its core.
    Iterations(usize),
}

/// Hidden width of CODI's projector where there is one, whatever the configuration says (spec latenttts §9.13).
fn projector(generator: &Checkpoint) -> Option<usize> {
    let names = ["projector.1.weight", "prj.1.weight"];
    names.iter().find_map(|name| generator.shape(name)?.first().copied())
}

/// The configuration of the generator as that of a reward model of this size.
fn described(
    text: &[u8],
    (size, loss): (Size, Loss),
    projector: Option<usize>,
    place: &str,
) -> Result<Vec<u8>> {
    let malformed = |error: serde_json::Error| fathom_model::Error::Format {
        path: place.to_owned(),
        what: error.to_string(),
    };
    let mut config: Value = serde_json::from_slice(text).map_err(malformed)?;
    match size {
        Size::Layers(layers) => {
            for key in ["n_layer", "num_hidden_layers"] {
                if let Some(value) = config.get_mut(key) {
                    *value = json!(layers);
                }
            }
        }
        Size::Iterations(iterations) => config[HuginnConfig::ITERATIONS] = json!(iterations),
    }
    if loss.step_score() != StepScore::default() {
        config[StepScore::KEY] = json!(loss.step_score().name());
    }
    if let Some(inner) = projector {
        config["projector"] = json!(true);
        config["projector_hidden_size"] = json!(inner);
    }
    if let Some(Value::String(class)) = config.pointer_mut("/architectures/0") {
        let stem = class.strip_suffix("ForCausalLM").unwrap_or(class);
        *class = format!("{stem}ForTokenClassification");
    }
    Ok(serde_json::to_vec_pretty(&config).map_err(malformed)?)
}
