//! Latent reasoners: checkpoints, configurations, tokenizers, and the networks that think with them.
//!
//! [`load::Model`] reads a [`folder::Folder`]; what comes out is a [`reasoner::Reasoner`]: [`latent::LatentChain`]
//! (COCONUT, CODI, CoLaR; arXiv 2412.06769, 2502.21074, 2505.16552) or [`huginn::Huginn`] (arXiv 2502.05171).
//! [`latent_rm::LatentRm`] scores thoughts. What makes trajectories differ is a value,
//! [`perturbation::Perturbation`]. [`parity::run`] compares a network with recorded outputs of its origin.
//!
//! ```
//! use fathom::{DType, Device, random::{Draw, Stream, key}};
//! use fathom_model::{folder::Folder, load::{Model, Network}, perturbation::{Perturbation, Scope}};
//! use fathom_model::reasoner::{Branch, Reasoner, Thought};
//!
//! let model = Model::load(&Folder::open("../../models/abacus-coconut")?, &Device::Cpu, DType::F32)?;
//! let (Network::Chain(chain), Some(tokenizer)) = (&model.network, &model.tokenizer) else { panic!() };
//! let mut prompt = tokenizer.encode("Ann has 11 stickers. how many stickers does Ann have now?\n", false)?;
//! prompt.extend(model.ids.latent_start);
//!
//! // Two trajectories of two latents from one prefilled prompt, then their answers.
//! let draw = |trajectory| Draw { key: key(0, &prompt, Stream::Trajectory), trajectory };
//! let noise = Perturbation::Noise { std: 0.3, scope: Scope::Full };
//! let thoughts = chain.prefill(&prompt, 2, &[draw(0), draw(1)], 0, noise)?;
//! let branches = thoughts.into_iter().zip([draw(0), draw(1)]);
//! let branches = branches.map(|(thought, draw)| Branch { thought, draws: vec![draw] }).collect();
//! let thoughts: Vec<_> = chain.step(branches, noise)?.into_iter().flatten().collect();
//! assert_eq!(chain.prompts_prefilled(), 1);
//! assert!(thoughts.iter().all(|thought| thought.latents().len() == 2));
//! assert_eq!(chain.read_out(thoughts, 20, noise)?.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod body;
pub mod chat;
pub mod checkpoint;
pub mod config;
pub mod error;
pub mod folder;
pub mod generate;
mod greedy;
mod head;
pub mod huginn;
pub mod latent;
pub mod latent_rm;
pub mod latents;
pub mod load;
pub mod parity;
pub mod pass;
pub mod perturbation;
pub mod reasoner;
pub mod scratch;
pub mod tokenizer;
mod weights;

pub use error::{Error, Result};
