//! A folder in the Hugging Face form, loaded: network, tokenizer, special ids, sampling defaults.

use fathom::{DType, Device};

use crate::{
    checkpoint::Checkpoint,
    config::{Config, GenerationDefaults, SpecialIds, StepScore},
    error::{Error, Result},
    folder::Folder,
    huginn::Huginn,
    latent::LatentChain,
    latent_rm::LatentRm,
    tokenizer::Tokenizer,
    weights::Loader,
};

const CONFIG: &str = "config.json";

/// The network of a folder.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a program holds one or two of them")]
pub enum Network {
    /// COCONUT, CODI or CoLaR.
    Chain(LatentChain),
    /// Recurrent depth.
    Huginn(Huginn),
}

/// A generator.
#[derive(Debug)]
pub struct Model {
    /// The network.
    pub network: Network,
    /// Its shapes.
    pub config: Config,
    /// Special ids, resolved.
    pub ids: SpecialIds,
    /// The folder's tokenizer, if it has one.
    pub tokenizer: Option<Tokenizer>,
    /// What it is best sampled with.
    pub defaults: GenerationDefaults,
    /// Number of parameters.
    pub parameters: usize,
    /// How messages call the folder.
    pub place: String,
}

impl Model {
    /// Reads everything, in an order that refuses what is cheap to check first.
    ///
    /// # Errors
    /// Names the file, field or tensor at fault; tensors left over are an error.
    pub fn load(folder: &Folder, device: &Device, dtype: DType) -> Result<Self> {
        let config = Config::read(folder)?;
        let defaults = GenerationDefaults::read(folder)?;
        let tokenizer = Tokenizer::read(folder)?;
        if let Some(tokenizer) = tokenizer.as_ref().filter(|tokenizer| tokenizer.len() > config.vocab_size())
        {
            let what = format!("{} tokens for a vocabulary of {}", tokenizer.len(), config.vocab_size());
            return Err(Error::Tokenizer { path: tokenizer.path().into(), what });
        }
        let ids = SpecialIds::resolve(&config, &defaults, tokenizer.as_ref(), &folder.path_of(CONFIG))?;
        let checkpoint = Checkpoint::open(folder)?;
        let loader = Loader { checkpoint: &checkpoint, device: device.clone(), dtype };
        let network = match &config {
            Config::Huginn(shape) => Network::Huginn(Huginn::load(shape, ids.eos.clone(), &loader)?),
            Config::Gpt2(_) | Config::Llama(_) => Network::Chain(LatentChain::load(&config, &ids, &loader)?),
        };
        let parameters = checkpoint.elements();
        checkpoint.finish()?;
        Ok(Self { network, config, ids, tokenizer, defaults, parameters, place: folder.path_of("") })
    }

    /// Width h of its latents.
    pub fn width(&self) -> usize {
        match &self.network {
            Network::Chain(chain) => chain.body().width(),
            Network::Huginn(huginn) => huginn.width(),
        }
    }

    /// Bytes of the weights as they are held.
    pub fn weight_bytes(&self) -> usize {
        match &self.network {
            Network::Chain(chain) => chain.body().bytes() + chain.feedback().bytes(),
            Network::Huginn(huginn) => huginn.bytes(),
        }
    }

    /// Whether a processor's cache holds the weights: threads are then faster on rows of their own than together on all.
    pub fn fits_cache(&self) -> bool {
        let device = match &self.network {
            Network::Chain(chain) => chain.body().head().device(),
            Network::Huginn(huginn) => huginn.head().device(),
        };
        *device == Device::Cpu && fits_cache(self.weight_bytes())
    }
}

/// Whether a processor's cache holds so many bytes.
pub(crate) fn fits_cache(bytes: usize) -> bool {
    /// The second-level cache of a core, or its share of the third, on current servers.
    const CACHE: usize = 4 << 20;
    bytes <= CACHE
}

impl LatentRm {
    /// Reads a reward model's folder.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn open(folder: &Folder, device: &Device, dtype: DType) -> Result<Self> {
        let config = Config::read(folder)?;
        let checkpoint = Checkpoint::open(folder)?;
        let loader = Loader { checkpoint: &checkpoint, device: device.clone(), dtype };
        let rm = LatentRm::load(&config, StepScore::read(folder)?, &loader)?;
        checkpoint.finish()?;
        Ok(rm)
    }
}
