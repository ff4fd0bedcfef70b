//! One question, N trajectories, every aggregation asked for.

use fathom::random::Stream;
use fathom_model::{
    latent_rm::LatentRm,
    latents::Latent,
    load::{Model, Network},
    perturbation::Perturbation,
    reasoner::{Reasoner, Thought},
};

use crate::{
    aggregate::{Aggregation, UnparseableVotes, best_of_n, majority, weighted},
    beam::{Width, beam_search, best},
    cost::{CorePasses, Thoughts},
    error::{Result, check},
    metrics::cosine_dissimilarity,
    prompt::Dialogue,
    scorer::trajectory_scores,
    trajectories::{Thinking, draws, think},
};

/// How a question is searched.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SearchOptions {
    /// Number of trajectories N ≥ 1.
    pub n: usize,
    /// What makes them differ.
    pub perturbation: Perturbation,
    /// Latent steps T, the cap of a model that ends its thought by itself, or r for recurrent depth.
    pub steps: usize,
    /// Which aggregations to report, in this order.
    pub aggregate: Vec<Aggregation>,
    /// Beam width B.
    pub beams: usize,
    /// Candidates a beam C.
    pub candidates: usize,
    /// Steps from one pruning of the beams to the next.
    pub every: usize,
    /// Seed of all draws.
    pub seed: u64,
    /// Longest answer in tokens.
    pub max_answer_tokens: usize,
}

/// One trajectory's end.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Decoded answer text.
    pub text: String,
    /// Its number; +inf where none could be parsed.
    pub value: f64,
    /// LatentRM's score, where there is one.
    pub score: Option<f32>,
}

/// What one question came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// By trajectory index.
    pub answers: Vec<Answer>,
    /// The chosen number of each aggregation, in the order asked for.
    pub chosen: Vec<(Aggregation, f64)>,
    /// What each of them cost, all trajectories decoded; none for a latent chain.
    pub passes: Vec<(Aggregation, CorePasses)>,
    /// Mean pairwise cosine dissimilarity of latents; `None` below two trajectories.
    pub diversity: Option<f64>,
}

/// A model, its reward model and the way they search.
#[derive(Debug)]
pub struct Solver {
    model: Model,
    reward: Option<LatentRm>,
    options: SearchOptions,
}

impl Solver {
    /// Checks that the options fit each other and the models.
    ///
    /// # Errors
    /// Names the option at fault, or the model's missing tokenizer.
    pub fn new(model: Model, reward: Option<LatentRm>, options: SearchOptions) -> Result<Self> {
        Dialogue::of(&model)?;
        check("-n", options.n >= 1, "at least one trajectory is needed")?;
        check("--beams", options.beams >= 1, "at least one beam is needed")?;
        check("--candidates", options.candidates >= 1, "at least one candidate is needed")?;
        check("--every", options.every >= 1, "at least one step is needed")?;
        match options.perturbation {
            Perturbation::Dropout { p, .. } => {
                check("--dropout-p", (0.0..1.0).contains(&p), "is not in [0, 1)")?
            }
            Perturbation::Noise { std, .. } => {
                check("--noise-std", std >= 0.0 && std.is_finite(), "is not a number of at least 0")?;
            }
            Perturbation::None | Perturbation::State => {}
        }
        let recurrent = matches!(model.network, Network::Huginn(_));
        check(
            "--steps",
            recurrent || options.steps >= 1,
            "a latent chain-of-thought takes at least one step",
        )?;
        let state = options.perturbation == Perturbation::State;
        check(
            "--sampler",
            recurrent || !state,
            "state resamples the initial state of recurrent depth, which this model lacks",
        )?;
        for aggregation in &options.aggregate {
            let needs = *aggregation != Aggregation::Majority;
            check(
                "--aggregate",
                !needs || reward.is_some(),
                format!("{aggregation} needs a reward model (--reward)"),
            )?;
        }
        if let Some(reward) = &reward {
            let (ours, theirs) = (model.width(), reward.width());
            check(
                "--reward",
                ours == theirs,
                format!("scores latents of {theirs} channels, the model's have {ours}"),
            )?;
            let what = if recurrent {
                "scores latent chain-of-thought, not recurrent depth"
            } else {
                "scores recurrent depth, not latent chain-of-thought"
            };
            check("--reward", reward.iterations().is_some() == recurrent, what)?;
        }
        Ok(Self { model, reward, options })
    }

    /// The generator.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The reward model.
    pub fn reward(&self) -> Option<&LatentRm> {
        self.reward.as_ref()
    }

    /// Searches for the answer to `question`.
    ///
    /// # Errors
    /// A question that does not fit the model's context or cannot be encoded.
    pub fn solve(&self, question: &str) -> Result<Outcome> {
        // Inside the pool operations split their work without waking it each time.
        rayon::scope(|_| match &self.model.network {
            Network::Chain(chain) => self.search(chain, question),
            Network::Huginn(huginn) => self.search(huginn, question),
        })
    }

    fn search<R: Reasoner>(&self, reasoner: &R, question: &str) -> Result<Outcome> {
        let SearchOptions { n, perturbation, steps, seed, max_answer_tokens, .. } = self.options;
        let dialogue = Dialogue::of(&self.model)?;
        let prompt = dialogue.prompt(question)?;
        let thinking = Thinking { steps, perturbation, seed };
        let thoughts = think(reasoner, &prompt, &draws(seed, &prompt, Stream::Trajectory, 0..n), thinking)?;
        let latents: Vec<Vec<Latent>> = thoughts.iter().map(|thought| thought.latents().to_vec()).collect();
        let scores = match &self.reward {
            Some(reward) => {
                let views: Vec<&[Latent]> = latents.iter().map(Vec::as_slice).collect();
                Some(trajectory_scores(reward, &prompt, &views)?)
            }
            None => None,
        };
        let texts = reasoner.read_out(thoughts, max_answer_tokens, perturbation)?;
        let passes = self.passes(&prompt, n, texts.iter().map(Vec::len));
        let mut answers = Vec::with_capacity(n);
        for (index, tokens) in texts.into_iter().enumerate() {
            answers.push(Answer {
                text: dialogue.text(&tokens)?,
                value: dialogue.value(&prompt, latents[index].len(), &tokens)?,
                score: scores.as_ref().map(|scores| scores[index]),
            });
        }
        let values: Vec<f64> = answers.iter().map(|answer| answer.value).collect();
        let scores = scores.unwrap_or_default();
        let of_scores = self.score_passes(&prompt, n);
        let mut chosen = Vec::with_capacity(self.options.aggregate.len());
        let mut cost = Vec::new();
        for &aggregation in &self.options.aggregate {
            let (value, passes) = match aggregation {
                Aggregation::Majority => (majority(&values, UnparseableVotes::Count), passes),
                Aggregation::BestOfN => (best_of_n(&values, &scores)?, passes.zip(of_scores).map(sum)),
                Aggregation::Weighted => (weighted(&values, &scores)?, passes.zip(of_scores).map(sum)),
                Aggregation::Beam => self.beam(reasoner, &dialogue, &prompt, thinking)?,
            };
            chosen.push((aggregation, value));
            cost.extend(passes.map(|passes| (aggregation, passes)));
        }
        let mut channels = Vec::with_capacity(n);
        for latents in &latents {
            channels.push(Latent::to_rows(latents).map_err(fathom_model::Error::from)?);
        }
        Ok(Outcome { answers, chosen, passes: cost, diversity: cosine_dissimilarity(&channels) })
    }

    /// The number that beam search ends in, and what it cost.
    fn beam<R: Reasoner>(
        &self,
        reasoner: &R,
        dialogue: &Dialogue<'_>,
        prompt: &[u32],
        thinking: Thinking,
    ) -> Result<(f64, Option<CorePasses>)> {
        let Some(reward) = &self.reward else { return Ok((f64::INFINITY, None)) };
        let SearchOptions { beams, candidates, every, max_answer_tokens: limit, .. } = self.options;
        let width = Width { beams, candidates, every };
        let Some(winner) = best(beam_search(reasoner, reward, prompt, thinking, width)?) else {
            return Ok((f64::INFINITY, None));
        };
        let thoughts = winner.thought.latents().len();
        let answers = reasoner.read_out(vec![winner.thought], limit, thinking.perturbation)?;
        let tokens = answers.into_iter().next().unwrap_or_default();
        // Every step takes all B·C candidates on.
        let count = beams * candidates;
        let passes = self.passes(prompt, count, [tokens.len()].into_iter());
        let passes = passes.zip(self.score_passes(prompt, count)).map(sum);
        Ok((dialogue.value(prompt, thoughts, &tokens)?, passes))
    }

    /// What `count` thoughts and answers of these lengths cost a model of recurrent depth.
    fn passes(
        &self,
        prompt: &[u32],
        count: usize,
        answers: impl Iterator<Item = usize>,
    ) -> Option<CorePasses> {
        let thoughts = self.thoughts(prompt, count)?;
        // A position each behind the first token, which takes none.
        let room = (self.model.config.context() + 1).saturating_sub(prompt.len());
        let most = self.options.max_answer_tokens.min(room);
        Some(thoughts.cost(self.options.perturbation) + thoughts.answers(answers, most))
    }

    /// What the scores of `count` thoughts cost a reward model of recurrent depth.
    fn score_passes(&self, prompt: &[u32], count: usize) -> Option<CorePasses> {
        let iterations = self.reward.as_ref()?.iterations()?;
        Some(self.thoughts(prompt, count)?.scores(iterations))
    }

    fn thoughts(&self, prompt: &[u32], count: usize) -> Option<Thoughts> {
        let recurrent = matches!(self.model.network, Network::Huginn(_));
        recurrent.then_some(Thoughts { prompt: prompt.len(), count, steps: self.options.steps })
    }
}

fn sum((a, b): (CorePasses, CorePasses)) -> CorePasses {
    a + b
}
