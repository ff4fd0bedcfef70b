//! From a question to prompt ids, and from ids to the text that is parsed (spec latenttts §1.2–1.4, huginn §2.3).

use fathom_model::{
    Error as ModelError,
    chat::{Message, Role, render},
    config::SpecialIds,
    latent::Kind,
    load::{Model, Network},
    tokenizer::Tokenizer,
};

use crate::{answer::AnswerFormat, error::Result};

/// Marks a tokenizer that knows the chat template.
const CHAT_MARK: &str = "<|begin_header|>";

/// What CoLaR is asked at as published (spec latenttts §1.4).
const PUBLISHED_SPEED: usize = 2;

/// How a model is asked, and how its answers are read.
#[derive(Debug)]
pub struct Dialogue<'a> {
    tokenizer: &'a Tokenizer,
    ids: &'a SpecialIds,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Chain(Kind),
    Chat,
    Plain,
}

impl<'a> Dialogue<'a> {
    /// The dialogue of a model.
    ///
    /// # Errors
    /// A model without a tokenizer.
    pub fn of(model: &'a Model) -> Result<Self> {
        let tokenizer = model
            .tokenizer
            .as_ref()
            .ok_or_else(|| ModelError::MissingFile { path: format!("{}/tokenizer.json", model.place) })?;
        let kind = match &model.network {
            Network::Chain(chain) => Some(chain.kind()),
            Network::Huginn(_) => None,
        };
        Ok(Self::new(tokenizer, &model.ids, kind))
    }

    /// The dialogue of a chain of this kind, or of recurrent depth.
    pub fn new(tokenizer: &'a Tokenizer, ids: &'a SpecialIds, kind: Option<Kind>) -> Self {
        let form = match kind {
            Some(kind) => Form::Chain(kind),
            None if tokenizer.id(CHAT_MARK).is_some() => Form::Chat,
            None => Form::Plain,
        };
        Self { tokenizer, ids, form }
    }

    /// Ids of the prompt, up to the position whose state is the first thought.
    ///
    /// # Errors
    /// A question that the tokenizer cannot encode.
    pub fn prompt(&self, question: &str) -> Result<Vec<u32>> {
        self.prompt_at_speed(question, PUBLISHED_SPEED)
    }

    /// As [`Dialogue::prompt`]; CoLaR is told how many tokens of written steps a thought is to stand for.
    ///
    /// # Errors
    /// As [`Dialogue::prompt`].
    pub fn prompt_at_speed(&self, question: &str, speed: usize) -> Result<Vec<u32>> {
        let mut ids = match self.form {
            Form::Chain(Kind::Coconut) => self.tokenizer.encode(&format!("{question}\n"), false)?,
            Form::Chain(Kind::Codi) => self.tokenizer.encode(question, false)?,
            Form::Chain(Kind::Colar) => {
                let text =
                    format!("Question: {question} Let's think step by step:(Thinking speed: {speed})###");
                self.tokenizer.encode(&text, false)?
            }
            Form::Chat => {
                let message = Message { role: Role::User, content: question.into() };
                self.tokenizer.encode(&render(&[message], true), false)?
            }
            Form::Plain => self.tokenizer.encode(question, true)?,
        };
        if let Form::Chain(Kind::Coconut | Kind::Codi) = self.form {
            ids.extend(self.ids.latent_start);
        }
        Ok(ids)
    }

    /// The answer's text.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn text(&self, answer: &[u32]) -> Result<String> {
        Ok(self.tokenizer.decode(answer, true)?)
    }

    /// The answer's number, +∞ where there is none. The published parsers read the whole sequence (spec latenttts
    /// §9.12), so an answer of CODI without digits falls back on the question's last number; recurrent depth has no
    /// published parser, and its prompt is left out.
    ///
    /// # Errors
    /// Ids outside the vocabulary.
    pub fn value(&self, prompt: &[u32], thoughts: usize, answer: &[u32]) -> Result<f64> {
        let Form::Chain(kind) = self.form else {
            return Ok(AnswerFormat::LastNumber.parse(&self.text(answer)?));
        };
        let latents = self.ids.latent.into_iter().flat_map(|id| std::iter::repeat_n(id, thoughts));
        let ids =
            prompt.iter().copied().chain(latents).chain(self.ids.latent_end).chain(answer.iter().copied());
        let text = self.text(&ids.collect::<Vec<_>>())?;
        let format = match kind {
            Kind::Coconut => AnswerFormat::Coconut,
            Kind::Codi => AnswerFormat::Codi,
            Kind::Colar => AnswerFormat::Colar,
        };
        Ok(format.parse(&text))
    }
}
