//! Parallel test-time scaling of latent reasoners (LatentTTS, arXiv 2510.07745): N trajectories of a question,
//! scored, and aggregated to one answer.
//!
//! [`solver::Solver`] does all of it for one question. Beneath it, each written against
//! [`fathom_model::reasoner::Reasoner`]: [`trajectories::think`], [`beam::beam_search`] and what ranks thoughts,
//! [`scorer::Scorer`]. [`aggregate`] and [`metrics`] are plain functions of numbers; [`dataset`] and [`answer`]
//! read questions and answers as the published evaluations do. `docs/sampling.md` has every rule.
//!
//! ```
//! use fathom::{DType, Device};
//! use fathom_model::{folder::Folder, load::Model, perturbation::{Perturbation, Scope}};
//! use fathom_search::{aggregate::Aggregation, solver::{SearchOptions, Solver}};
//!
//! let model = Model::load(&Folder::open("../../models/abacus-coconut")?, &Device::Cpu, DType::F32)?;
//! let options = SearchOptions {
//!     n: 8,
//!     perturbation: Perturbation::Noise { std: 0.3, scope: Scope::Full },
//!     steps: 3,
//!     aggregate: vec![Aggregation::Majority],
//!     beams: 4,
//!     candidates: 4,
//!     every: 1,
//!     seed: 0,
//!     max_answer_tokens: 20,
//! };
//! let question = "Jack has 24 books. Jack sells 4 of the books. how many books does Jack have now?";
//! let outcome = Solver::new(model, None, options)?.solve(question)?;
//! assert_eq!(outcome.answers.len(), 8);
//! assert_eq!(outcome.chosen, [(Aggregation::Majority, 20.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod aggregate;
pub mod answer;
pub mod beam;
pub mod choices;
pub mod cost;
pub mod dataset;
pub mod error;
pub mod metrics;
pub mod prompt;
pub mod python_float;
pub mod scorer;
pub mod solver;
pub mod trace;
pub mod trajectories;

pub use error::{Error, Result};

/// Compiles the program in the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
