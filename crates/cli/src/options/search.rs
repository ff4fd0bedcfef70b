//! How the thought is searched: from options, some of them lists, to one [`SearchOptions`] a run.

use clap::Args;
use fathom_model::config::{Config, GenerationDefaults};
use fathom_model::perturbation::{Perturbation, Scope, Sites};
use fathom_search::aggregate::Aggregation;
use fathom_search::solver::SearchOptions;

use super::ModelOptions;
use super::values::{Sampler, bounded_count, deviation, probability, scope, sites, steps, whole};
use crate::error::{Error, Result};

/// Options of the search as typed.
#[derive(Debug, Clone, Args)]
pub(crate) struct SearchArgs {
    /// Trajectories [default: 16, or 1 where nothing makes them differ]
    #[arg(short, value_parser = bounded_count, allow_negative_numbers = true)]
    n: Option<usize>,
    /// none, dropout, noise or state (recurrent depth); eval takes a list
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "dropout")]
    sampler: Vec<Sampler>,
    /// Dropout probability [default: the model's, else 0.2 or what its kind was published with]; eval takes a list
    #[arg(long, value_name = "P", value_delimiter = ',', value_parser = probability, allow_negative_numbers = true)]
    dropout_p: Vec<f32>,
    /// Standard deviation of the noise [default: the model's, else 0.6]; eval takes a list
    #[arg(long, value_name = "STD", value_delimiter = ',', value_parser = deviation, allow_negative_numbers = true)]
    noise_std: Vec<f32>,
    /// Where dropout acts: resid, mlp or resid+embd [default: resid]
    #[arg(long, value_parser = sites)]
    sites: Option<Sites>,
    /// What dropout or noise touches: full (the prompt too) or latent [default: full]
    #[arg(long, value_parser = scope)]
    scope: Option<Scope>,
    /// Latent steps, or iterations of a recurrent-depth model [default: the model's, else 6]; eval takes a list
    #[arg(long, value_delimiter = ',', value_parser = steps, allow_negative_numbers = true)]
    steps: Vec<usize>,
    /// List of majority, best-of-n, weighted, beam [default: majority; with --reward all but beam]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    aggregate: Vec<Aggregation>,
    /// Beams kept by beam search
    #[arg(long, value_name = "B", default_value = "4", value_parser = bounded_count, allow_negative_numbers = true)]
    beams: usize,
    /// Candidates drawn for each beam
    #[arg(long, value_name = "C", default_value = "4", value_parser = bounded_count, allow_negative_numbers = true)]
    candidates: usize,
    /// Steps from one pruning of the beams to the next
    #[arg(long, value_name = "STEPS", default_value = "1", value_parser = bounded_count, allow_negative_numbers = true)]
    every: usize,
    /// Seed of all draws
    #[arg(long, default_value = "0", value_parser = whole::<u64>, allow_negative_numbers = true)]
    seed: u64,
    /// Longest answer in tokens [default: the model's, else 121]
    #[arg(long, value_name = "TOKENS", value_parser = bounded_count, allow_negative_numbers = true)]
    max_answer_tokens: Option<usize>,
}

/// What a model says about its own sampling; stands in for options that are not given.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Defaults {
    /// Latent steps T, cap or r.
    pub(crate) steps: usize,
    /// Dropout probability p.
    pub(crate) dropout_p: f32,
    /// Noise σ.
    pub(crate) noise_std: f32,
    /// Longest answer in tokens.
    pub(crate) max_answer_tokens: usize,
}

impl Defaults {
    /// The model's own figures, else the published ones of its kind (LatentTTS §2, Huginn §1.1): T = 6, p = 0.2,
    /// σ = 0.6 for COCONUT and CODI; cap 64, p = 0.03, σ = 0.01 for CoLaR; r as trained for recurrent depth. A
    /// published token budget counts the T latents and the end marker too, except for recurrent depth, whose
    /// iterations are no tokens.
    pub(crate) fn of(config: &Config, generation: &GenerationDefaults) -> Self {
        let (steps, dropout_p, noise_std) = match config {
            Config::Gpt2(_) => (6, 0.2, 0.6),
            Config::Llama(_) => (64, 0.03, 0.01),
            Config::Huginn(config) => (config.mean_recurrence, 0.2, 0.6),
        };
        let steps = generation.latent_length.unwrap_or(steps);
        let thought = if matches!(config, Config::Huginn(_)) { 0 } else { steps + 1 };
        let budget = generation.max_new_tokens.map(|budget| budget.saturating_sub(thought).max(1));
        Self {
            steps,
            dropout_p: generation.dropout_p.unwrap_or(dropout_p),
            noise_std: generation.noise_std.unwrap_or(noise_std),
            max_answer_tokens: budget.unwrap_or(121),
        }
    }
}

/// One perturbation to search under; `None` in a strength means the model's default.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Setting {
    None,
    Dropout(Option<f32>),
    Noise(Option<f32>),
    State,
}

/// Checked options: the settings to run and all that they share.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    settings: Vec<Setting>,
    aggregate: Vec<Aggregation>,
    args: SearchArgs,
}

impl SearchArgs {
    /// Checks options against each other. Needs no model yet, so that slips are told at once.
    ///
    /// # Errors
    /// Options that repeat, contradict each other, or lack the reward model they need.
    pub(crate) fn check(&self, model: &ModelOptions) -> Result<Settings> {
        let takes = |sampler| self.sampler.contains(&sampler);
        let idle = |option, needs: &str| Err(Error::option(option, format!("needs --sampler {needs}")));
        if !self.dropout_p.is_empty() && !takes(Sampler::Dropout) {
            return idle("--dropout-p", "dropout");
        }
        if !self.noise_std.is_empty() && !takes(Sampler::Noise) {
            return idle("--noise-std", "noise");
        }
        if self.sites.is_some() && !takes(Sampler::Dropout) {
            return idle("--sites", "dropout");
        }
        if self.scope.is_some() && !takes(Sampler::Dropout) && !takes(Sampler::Noise) {
            return idle("--scope", "dropout or noise");
        }
        no_repeats("--sampler", &self.sampler)?;
        no_repeats("--dropout-p", &self.dropout_p)?;
        no_repeats("--noise-std", &self.noise_std)?;
        no_repeats("--steps", &self.steps)?;
        no_repeats("--aggregate", &self.aggregate)?;
        if self.beams.saturating_mul(self.candidates) > 1 << 16 {
            return Err(Error::option("--beams", "beams times candidates must be at most 65536"));
        }
        let strengths = |list: &[f32]| -> Vec<Option<f32>> {
            if list.is_empty() { vec![None] } else { list.iter().copied().map(Some).collect() }
        };
        let of = |sampler: &Sampler| -> Vec<Setting> {
            match sampler {
                Sampler::None => vec![Setting::None],
                Sampler::State => vec![Setting::State],
                Sampler::Dropout => strengths(&self.dropout_p).into_iter().map(Setting::Dropout).collect(),
                Sampler::Noise => strengths(&self.noise_std).into_iter().map(Setting::Noise).collect(),
            }
        };
        Ok(Settings {
            settings: self.sampler.iter().flat_map(of).collect(),
            aggregate: self.aggregations(model)?,
            args: self.clone(),
        })
    }

    fn aggregations(&self, model: &ModelOptions) -> Result<Vec<Aggregation>> {
        use Aggregation::{BestOfN, Majority, Weighted};
        if self.aggregate.is_empty() {
            let all = [Majority, BestOfN, Weighted];
            return Ok(if model.reward.is_some() { all.to_vec() } else { vec![Majority] });
        }
        match self.aggregate.iter().find(|&&a| a != Majority) {
            Some(scored) if model.reward.is_none() => {
                Err(Error::option("--aggregate", format!("{scored} needs --reward")))
            }
            _ => Ok(self.aggregate.clone()),
        }
    }
}

impl Settings {
    /// Number of runs.
    pub(crate) fn len(&self) -> usize {
        self.settings.len() * self.args.steps.len().max(1)
    }

    /// One set of options a run, in the order given: each setting at each number of steps.
    pub(crate) fn resolve(&self, defaults: &Defaults) -> Vec<SearchOptions> {
        let steps = if self.args.steps.is_empty() { vec![defaults.steps] } else { self.args.steps.clone() };
        let runs = self.settings.iter().flat_map(|&setting| steps.iter().map(move |&steps| (setting, steps)));
        runs.map(|(setting, steps)| self.resolve_one(setting, steps, defaults)).collect()
    }

    fn resolve_one(&self, setting: Setting, steps: usize, defaults: &Defaults) -> SearchOptions {
        let args = &self.args;
        let scope = args.scope.unwrap_or_default();
        let perturbation = match setting {
            Setting::None => Perturbation::None,
            Setting::Dropout(p) => Perturbation::Dropout {
                p: p.unwrap_or(defaults.dropout_p),
                sites: args.sites.unwrap_or_default(),
                scope,
            },
            Setting::Noise(std) => Perturbation::Noise { std: std.unwrap_or(defaults.noise_std), scope },
            Setting::State => Perturbation::State,
        };
        // Deterministic trajectories are all the same one: more than one is asked for only explicitly.
        let n = args.n.unwrap_or(if setting == Setting::None { 1 } else { 16 });
        SearchOptions {
            n,
            perturbation,
            steps,
            aggregate: self.aggregate.clone(),
            beams: args.beams,
            candidates: args.candidates,
            every: args.every,
            seed: args.seed,
            max_answer_tokens: args.max_answer_tokens.unwrap_or(defaults.max_answer_tokens),
        }
    }
}

/// Refuses a list in which something stands twice.
///
/// # Errors
/// What does.
pub(crate) fn no_repeats<T: PartialEq + std::fmt::Display>(option: &'static str, list: &[T]) -> Result<()> {
    let repeated = list.iter().enumerate().find(|(i, item)| list[..*i].contains(item));
    match repeated {
        Some((_, item)) => Err(Error::option(option, format!("{item} stands twice"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use fathom_model::folder::Folder;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        model: ModelOptions,
        #[command(flatten)]
        search: SearchArgs,
    }

    fn check(options: &str) -> Result<Settings> {
        let words = std::iter::once("fathom").chain(options.split_whitespace());
        let typed = Typed::try_parse_from(words).unwrap_or_else(|e| panic!("{options}: {e}"));
        typed.search.check(&typed.model)
    }

    fn gpt2() -> Config {
        let text = r#"{"model_type": "gpt2", "vocab_size": 80, "n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 32}"#;
        let files = vec![("config.json", text.as_bytes())];
        Config::read(&Folder::Embedded { name: "gpt2", files: files.leak() }).unwrap()
    }

    fn defaults() -> Defaults {
        let generation =
            GenerationDefaults { latent_length: Some(3), dropout_p: Some(0.05), ..Default::default() };
        Defaults::of(&gpt2(), &generation)
    }

    #[test]
    fn lists_become_one_run_a_point() {
        let settings = check("--sampler none,dropout,noise --dropout-p 0.1,0.3 --scope latent").unwrap();
        let resolved = settings.resolve(&defaults());
        let (sites, scope) = (Sites::Resid, Scope::Latent);
        let expected = [
            (1, Perturbation::None),
            (16, Perturbation::Dropout { p: 0.1, sites, scope }),
            (16, Perturbation::Dropout { p: 0.3, sites, scope }),
            (16, Perturbation::Noise { std: 0.6, scope }),
        ];
        assert_eq!(settings.len(), 4);
        let got: Vec<_> = resolved.iter().map(|options| (options.n, options.perturbation)).collect();
        assert_eq!(got, expected);
        assert!(resolved.iter().all(|options| options.steps == 3 && options.seed == 0));
    }

    #[test]
    fn each_setting_runs_at_each_number_of_steps() {
        let settings = check("--sampler none,noise --noise-std 0.3 --steps 1,8").unwrap();
        let resolved = settings.resolve(&defaults());
        let got: Vec<_> = resolved.iter().map(|options| (options.n, options.steps)).collect();
        assert_eq!((settings.len(), got), (4, vec![(1, 1), (1, 8), (16, 1), (16, 8)]));
    }

    #[test]
    fn defaults_are_dropout_with_the_models_p() {
        let resolved = check("").unwrap().resolve(&defaults());
        let dropout = Perturbation::Dropout { p: 0.05, sites: Sites::Resid, scope: Scope::Full };
        assert_eq!(resolved[0].perturbation, dropout);
        assert_eq!(resolved[0].aggregate, [Aggregation::Majority]);
        let scored = check("--reward rm").unwrap().resolve(&defaults());
        assert_eq!(scored[0].aggregate, [Aggregation::Majority, Aggregation::BestOfN, Aggregation::Weighted]);
    }

    #[test]
    fn the_published_budget_counts_latents_and_the_end_marker() {
        let generation =
            GenerationDefaults { latent_length: Some(3), max_new_tokens: Some(24), ..Default::default() };
        assert_eq!(Defaults::of(&gpt2(), &generation).max_answer_tokens, 20);
        let published = Defaults { steps: 6, dropout_p: 0.2, noise_std: 0.6, max_answer_tokens: 121 };
        assert_eq!(Defaults::of(&gpt2(), &GenerationDefaults::default()), published);
    }

    #[test]
    fn contradictions_are_named() {
        let cases = [
            ("--sampler noise --dropout-p 0.1", "--dropout-p: needs --sampler dropout"),
            ("--noise-std 0.1", "--noise-std: needs --sampler noise"),
            ("--sampler noise --sites mlp", "--sites: needs --sampler dropout"),
            ("--sampler none --scope latent", "--scope: needs --sampler dropout or noise"),
            ("--dropout-p 0.1,0.1", "--dropout-p: 0.1 stands twice"),
            ("--sampler dropout,dropout", "--sampler: dropout stands twice"),
            ("--steps 4,8,4", "--steps: 4 stands twice"),
            ("--aggregate majority,best-of-n", "--aggregate: best-of-n needs --reward"),
            ("--beams 65536 --candidates 2", "--beams: beams times candidates must be at most 65536"),
        ];
        for (options, expected) in cases {
            assert_eq!(check(options).unwrap_err().to_string(), expected);
        }
    }
}
