//! `fathom generate`: text from recurrent depth, as it comes, with what it cost.

mod options;

use std::time::Instant;

use fathom_model::{
    chat::{Message, Role, render},
    generate::{Cost, Decoding, End, Lanes, Settings, Speculative, Text, Wavefront},
    huginn::Huginn,
    load::{Model, Network},
    tokenizer::Tokenizer,
};
use fathom_search::{answer::AnswerFormat, dataset};
use serde::Serialize;

use crate::engine;
use crate::error::{Error, Result};
use crate::output;
use crate::table::{Align, Table, number};
use options::{Template, Way};

pub(crate) use options::GenerateArgs;

/// Marks a tokenizer that knows the chat template.
const CHAT_MARK: &str = "<|begin_header|>";

/// What is continued, and the answer that is to come of it.
struct Job {
    prompt: Vec<u32>,
    target: Option<f64>,
}

/// One prompt's continuation.
#[derive(Debug, Default, Serialize)]
struct Continuation {
    text: String,
    tokens: Vec<u32>,
    /// Iterations by token.
    steps: Vec<usize>,
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<bool>,
}

/// What all of it cost.
#[derive(Debug, Serialize)]
struct Report {
    tokens: usize,
    /// Passes through the core block, a pass of any width counted as one.
    core_passes: usize,
    core_rows: usize,
    coda_passes: usize,
    mean_steps: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    drafts: Option<[usize; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<usize>,
    questions: usize,
    seconds: f64,
}

/// Continues every prompt.
///
/// # Errors
/// Bad options, a model that has no depth to recur, prompts that do not fit, a full standard output.
pub(crate) fn run(arguments: &GenerateArgs) -> Result<()> {
    if arguments.prompts.is_empty() && arguments.data.is_none() {
        return Err(Error::option("PROMPT", "nothing to continue: give a prompt, or --data"));
    }
    if arguments.limit.is_some() && arguments.data.is_none() {
        return Err(Error::option("--limit", "counts questions of --data"));
    }
    if arguments.stop.iter().any(String::is_empty) {
        return Err(Error::option("--stop", "is empty"));
    }
    let data = arguments.data.as_deref().map(dataset::read).transpose()?;
    crate::options::start_threads(arguments.threads)?;
    let (model, _) = engine::load(&arguments.model, &arguments.device, arguments.dtype)?;
    let Network::Huginn(huginn) = &model.network else {
        return Err(Error::option("--model", "thinks in a chain of latents; generate wants recurrent depth"));
    };
    let tokenizer = model.tokenizer.as_ref().ok_or_else(|| {
        Error::option("--model", format!("{} has no tokenizer.json", arguments.model.display()))
    })?;
    let depth = model.defaults.latent_length.unwrap_or(match &model.config {
        fathom_model::config::Config::Huginn(config) => config.mean_recurrence,
        _ => 1,
    });
    let (settings, way) = arguments.resolve(huginn, depth)?;
    let jobs: Vec<Job> = match &data {
        Some(data) => {
            let count = arguments.limit.unwrap_or(data.questions.len());
            let questions = data.questions.iter().take(count);
            questions
                .map(|question| {
                    let prompt = prompt(arguments, &model, tokenizer, &question.question)?;
                    Ok(Job { prompt, target: Some(question.target) })
                })
                .collect::<Result<_>>()?
        }
        None => arguments
            .prompts
            .iter()
            .map(|text| Ok(Job { prompt: prompt(arguments, &model, tokenizer, text)?, target: None }))
            .collect::<Result<_>>()?,
    };
    let begun = Instant::now();
    let (continuations, cost, drafts) = continue_all(arguments, huginn, tokenizer, &jobs, settings, way)?;
    let report = Report::new(&continuations, cost, drafts, begun.elapsed().as_secs_f64());
    if arguments.json {
        return output::print(&output::json(&serde_json::json!({
            "continuations": continuations, "report": report,
        }))?);
    }
    if data.is_none() && arguments.prompts.len() > 1 {
        for continuation in &continuations {
            output::print(&format!("{}\n\n", continuation.text.trim_end()))?;
        }
    }
    let table = report.table();
    if data.is_some() {
        return output::print(&table);
    }
    eprintln!("\n{table}");
    Ok(())
}

/// A prompt's ids by the template.
fn prompt(arguments: &GenerateArgs, model: &Model, tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let knows = tokenizer.id(CHAT_MARK).is_some();
    let chat = match arguments.template {
        Template::Auto => knows,
        Template::Chat if knows => true,
        Template::Chat => {
            let what = format!("{} has no token {CHAT_MARK}: its tokenizer knows no chat", model.place);
            return Err(Error::option("--template", what));
        }
        Template::Plain => false,
    };
    if !chat && arguments.system.is_some() {
        return Err(Error::option("--system", "only a chat has a system turn"));
    }
    let encoded = if chat {
        let system =
            arguments.system.iter().map(|text| Message { role: Role::System, content: text.clone() });
        let user = Message { role: Role::User, content: text.to_owned() };
        tokenizer.encode(&render(&system.chain([user]).collect::<Vec<_>>(), true), false)
    } else {
        tokenizer.encode(text, true)
    };
    encoded.map_err(|cause| Error::Engine(cause.into()))
}

type Continued = (Vec<Continuation>, Cost, Option<[usize; 2]>);

fn continue_all(
    arguments: &GenerateArgs,
    model: &Huginn,
    tokenizer: &Tokenizer,
    jobs: &[Job],
    settings: Settings,
    way: Way,
) -> Result<Continued> {
    let prompts: Vec<Vec<u32>> = jobs.iter().map(|job| job.prompt.clone()).collect();
    let streams = jobs.len() == 1 && !arguments.json && jobs[0].target.is_none();
    let follow = |decoding: &mut dyn Decoding| follow(decoding, arguments, tokenizer, jobs, streams);
    Ok(match way {
        Way::Lanes => {
            let mut lanes = Lanes::new(model, prompts, arguments.batch, settings).map_err(named)?;
            (follow(&mut lanes)?, lanes.cost(), None)
        }
        Way::Draft(draft) => {
            let mut decoding =
                Speculative::new(model, prompts, arguments.batch, settings, draft).map_err(named)?;
            (follow(&mut decoding)?, decoding.cost(), Some(decoding.drafts()))
        }
        Way::Wave(wave) => {
            let mut decoding = Wavefront::new(model, prompts, settings, wave).map_err(named)?;
            (follow(&mut decoding)?, decoding.cost(), None)
        }
    })
}

/// What is impossible, by the option that it was typed as.
fn named(cause: fathom_model::Error) -> Error {
    const TYPED: [(&str, &str); 21] = [
        ("accept", "--accept"),
        ("batch", "--batch"),
        ("continuous", "--carry"),
        ("draft-steps", "--draft"),
        ("ema", "--ema"),
        ("every", "--every"),
        ("exit", "--exit"),
        ("headway", "--headway"),
        ("initial", "--initial"),
        ("inner", "--wave"),
        ("lookahead", "--lookahead"),
        ("min-p", "--min-p"),
        ("min-steps", "--min-steps"),
        ("noise", "--wave-noise"),
        ("prompt", "PROMPT"),
        ("repetition-penalty", "--repetition-penalty"),
        ("steps", "--steps"),
        ("temperature", "--temperature"),
        ("threshold", "--threshold"),
        ("top-p", "--top-p"),
        ("width", "--wave-width"),
    ];
    match cause {
        fathom_model::Error::Option { option, what } => {
            match TYPED.iter().find(|(named, _)| *named == option) {
                Some((_, typed)) => Error::option(typed, what),
                None => Error::Engine(fathom_model::Error::Option { option, what }.into()),
            }
        }
        other => Error::Engine(other.into()),
    }
}

/// Takes tokens as they come: text, stop strings, and on to standard output where there is one prompt.
fn follow(
    decoding: &mut dyn Decoding,
    arguments: &GenerateArgs,
    tokenizer: &Tokenizer,
    jobs: &[Job],
    streams: bool,
) -> Result<Vec<Continuation>> {
    let engine = |cause: fathom_model::Error| Error::Engine(cause.into());
    let mut texts: Vec<Text<'_>> = jobs.iter().map(|_| Text::new(tokenizer, &arguments.stop)).collect();
    let mut found: Vec<Continuation> = jobs.iter().map(|_| Continuation::default()).collect();
    let bar = output::progress("generate", jobs.len(), "prompts");
    while let Some(emitted) = decoding.next() {
        let emitted = emitted.map_err(engine)?;
        let (text, continuation) = (&mut texts[emitted.prompt], &mut found[emitted.prompt]);
        continuation.tokens.push(emitted.token);
        continuation.steps.push(emitted.steps);
        let mut more = if emitted.end == Some(End::Token) {
            String::new()
        } else {
            text.push(emitted.token).map_err(engine)?
        };
        let ended = if text.stopped() {
            decoding.stop(emitted.prompt);
            Some("stop string")
        } else {
            emitted.end.map(|end| match end {
                End::Token => "end token",
                End::Length => "length",
                End::Context => "context",
            })
        };
        if let Some(end) = ended {
            more += &text.finish().map_err(engine)?;
            continuation.end = end;
            bar.inc(1);
        }
        continuation.text += &more;
        if streams {
            output::print(&more)?;
        }
    }
    bar.finish_and_clear();
    for (continuation, job) in found.iter_mut().zip(jobs) {
        continuation.right =
            job.target.map(|target| AnswerFormat::LastNumber.parse(&continuation.text) == target);
    }
    if streams {
        output::print("\n")?;
    }
    Ok(found)
}

impl Report {
    fn new(found: &[Continuation], cost: Cost, drafts: Option<[usize; 2]>, seconds: f64) -> Self {
        let steps = || found.iter().flat_map(|continuation| &continuation.steps);
        let (tokens, sum) = (steps().count(), steps().sum::<usize>());
        let judged: Vec<bool> = found.iter().filter_map(|continuation| continuation.right).collect();
        Self {
            tokens,
            core_passes: cost.core_passes,
            core_rows: cost.core_rows,
            coda_passes: cost.coda_passes,
            mean_steps: sum as f64 / tokens.max(1) as f64,
            drafts,
            right: (!judged.is_empty()).then(|| judged.iter().filter(|right| **right).count()),
            questions: found.len(),
            seconds,
        }
    }

    fn table(&self) -> String {
        let mut columns = vec![("tokens", Align::Right), ("core passes", Align::Right)];
        columns.extend([("a token", Align::Right), ("iterations a token", Align::Right)]);
        columns.extend(self.drafts.map(|_| ("drafts accepted", Align::Right)));
        columns.extend(self.right.map(|_| ("right, %", Align::Right)));
        columns.push(("seconds", Align::Right));
        let mut table = Table::new(columns);
        let a_token = self.core_passes as f64 / self.tokens.max(1) as f64;
        let mut cells = vec![self.tokens.to_string(), self.core_passes.to_string()];
        cells.extend([format!("{a_token:.2}"), format!("{:.2}", self.mean_steps)]);
        cells.extend(self.drafts.map(|[made, accepted]| format!("{accepted} of {made}")));
        cells.extend(
            self.right.map(|right| number((1000.0 * right as f64 / self.questions as f64).round() / 10.0)),
        );
        cells.push(format!("{:.2}", self.seconds));
        table.row(cells);
        table.render()
    }
}
