//! Text from recurrent depth (spec huginn §3.2): token by token at a fixed depth or until a criterion is met, drafted
//! shallow and verified deep, or as a wavefront of positions that come to rest one after the other.
//!
//! Each way is an iterator over [`Emitted`] tokens, on top of the three passes of [`crate::huginn::Huginn`]. A sequence's tokens
//! follow from the weights, the prompt, the settings and the seed: not from the prompts beside it.
//!
//! ```
//! use fathom::{DType, Device};
//! use fathom_model::{
//!     folder::Folder,
//!     generate::{Decoding, ExitRule, Lanes, Settings},
//!     huginn::Criterion,
//!     load::{Model, Network},
//! };
//!
//! let model = Model::load(&Folder::open("../../models/tally-written")?, &Device::Cpu, DType::F32)?;
//! let (Network::Huginn(huginn), Some(tokenizer)) = (&model.network, &model.tokenizer) else { panic!() };
//! let question = "Ann has 18 apples. then Ann has twice as many apples. then Ann finds 15 apples. \
//!     Ann gives 14 apples to Hugo. how many apples does Ann have now?";
//! let prompt = tokenizer.encode(question, true)?;
//! let settings = Settings { exit: Some(ExitRule::new(Criterion::Kl)), ..Settings::new(16, 96) };
//! let mut tokens = Lanes::new(huginn, vec![prompt], 1, settings)?;
//! let mut text = Vec::new();
//! for emitted in tokens.by_ref() {
//!     text.push(emitted?.token);
//! }
//! assert!(tokenizer.decode(&text, true)?.starts_with("<<18*2=36>>"));
//! assert!(tokens.cost().core_passes < 16 * text.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod lanes;
mod sampling;
mod settings;
mod speculative;
mod text;
mod wavefront;

use fathom::{
    Tensor,
    ops::linear::{Epilogue, linear},
    random::{Coordinates, Draw, Stream, key},
};

pub use lanes::Lanes;
pub use sampling::Sampling;
pub use settings::{Carry, ExitRule, Preset, Settings};
pub use speculative::{Draft, Speculative};
pub use text::Text;
pub use wavefront::{Freeze, Wave, Wavefront};

use crate::{
    error::{Error, Result},
    huginn::Huginn,
};

/// A token of a prompt's continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// Which prompt it continues, in the order in which they were given.
    pub prompt: usize,
    /// The token.
    pub token: u32,
    /// Iterations that the state behind it has been through.
    pub steps: usize,
    /// Set on a continuation's last token.
    pub end: Option<End>,
}

/// Why a continuation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The token is one that ends a text.
    Token,
    /// As many tokens as were asked for.
    Length,
    /// No position is left in the context.
    Context,
}

/// What a continuation cost: a pass is counted once, whatever its width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Passes through the core block.
    pub core_passes: usize,
    /// Rows of those passes.
    pub core_rows: usize,
    /// Passes through coda and head.
    pub coda_passes: usize,
}

/// A way to continue prompts, a token at a time.
pub trait Decoding: Iterator<Item = Result<Emitted>> {
    /// What it has cost so far.
    fn cost(&self) -> Cost;

    /// Stops a prompt's continuation before its next token: a stop string was found in its text.
    fn stop(&mut self, prompt: usize);
}

/// The logits of rows `[rows, h]` of the head's input.
fn logits(model: &Huginn, hidden: &Tensor) -> Result<Tensor> {
    let mut logits = Tensor::empty(hidden.device());
    linear(hidden, model.head(), None, Epilogue::None, &mut logits)?;
    Ok(logits)
}

/// The first state of the next token, from the last row of a state.
fn carried(model: &Huginn, carry: Carry, state: &Tensor) -> Result<Option<Tensor>> {
    if carry == Carry::Fresh || state.rows() == 0 {
        return Ok(None);
    }
    let mut last = Tensor::empty(state.device());
    state.select(&[state.rows() - 1], &mut last)?;
    Ok(Some(if carry == Carry::Normed { model.latent_states(&last)? } else { last }))
}

/// The randomness of one prompt.
#[derive(Debug, Clone, Copy)]
struct Dice {
    state: u64,
    token: u64,
}

/// What a number drawn at a position decides.
#[derive(Debug, Clone, Copy)]
enum Die {
    /// The token.
    Token,
    /// The token of a draft.
    Draft,
    /// Whether a draft is accepted.
    Accept,
    /// The token in place of a draft that was not.
    Residual,
}

impl Dice {
    fn new(seed: u64, prompt: &[u32]) -> Self {
        Self { state: key(seed, prompt, Stream::State), token: key(seed, prompt, Stream::Token) }
    }

    /// s_0 of positions from `first` on, by position and `round` alone.
    fn states(
        self,
        model: &Huginn,
        first: usize,
        count: usize,
        round: usize,
        settings: &Settings,
    ) -> Result<Tensor> {
        let at = |position: usize| Coordinates {
            draw: Draw { key: self.state, trajectory: 0 },
            position: position as u32,
            iteration: round as u32,
        };
        let mut states = model.initial_state(&(first..first + count).map(at).collect::<Vec<_>>())?;
        if settings.initial != 1.0 {
            fathom::ops::scale::scale(&mut states, settings.initial)?;
        }
        Ok(states)
    }

    /// A number in [0, 1) for the token at `position`.
    fn uniform(self, position: usize, die: Die) -> f64 {
        let at = Coordinates {
            draw: Draw { key: self.token, trajectory: 0 },
            position: position as u32,
            iteration: 0,
        };
        let words = fathom::random::words(at, fathom::random::Site::Embedding, 0);
        f64::from(words[die as usize]) / 4_294_967_296.0
    }
}

/// Checks prompts before any work.
fn check(model: &Huginn, prompts: &[Vec<u32>]) -> Result<()> {
    for prompt in prompts {
        if prompt.is_empty() {
            return Err(Error::Option { option: "prompt".into(), what: "is empty".into() });
        }
        if prompt.len() >= model.context() {
            return Err(Error::PromptTooLong { tokens: prompt.len() + 1, context: model.context() });
        }
        let known = model.head().n();
        if let Some(id) = prompt.iter().find(|&&id| id as usize >= known) {
            let what = format!("token {id} of a vocabulary of {known}");
            return Err(Error::Option { option: "prompt".into(), what });
        }
    }
    Ok(())
}

/// Whether a continuation of `count` tokens, the last one `token`, at a sequence of `len` tokens has ended.
fn end(model: &Huginn, settings: &Settings, token: u32, count: usize, len: usize) -> Option<End> {
    if model.eos().contains(&token) {
        Some(End::Token)
    } else if count >= settings.max_tokens {
        Some(End::Length)
    } else if len >= model.context() {
        Some(End::Context)
    } else {
        None
    }
}
