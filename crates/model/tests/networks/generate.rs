//! Generation beyond the recordings: batches, drafts, waves, devices.

use fathom::{DType, Device};
use fathom_model::{
    folder::Folder,
    generate::{
        Decoding, Draft, Emitted, End, ExitRule, Lanes, Sampling, Settings, Speculative, Wave, Wavefront,
    },
    huginn::{CachePolicy, Criterion, Huginn},
    load::{Model, Network},
};

use crate::fixture;

const PROMPTS: [&[u32]; 3] = [&[3, 1, 4, 1, 5], &[9, 2], &[6, 5, 3, 5, 8, 9, 7, 9]];

fn on(device: &Device, test: impl FnOnce(&Huginn)) {
    let model = Model::load(&Folder::open(fixture("huginn-tiny")).unwrap(), device, DType::F32).unwrap();
    let Network::Huginn(huginn) = &model.network else { panic!("recurrent") };
    test(huginn);
}

fn prompts() -> Vec<Vec<u32>> {
    PROMPTS.map(<[u32]>::to_vec).to_vec()
}

/// Tokens and steps by prompt.
fn sorted(decoding: impl Iterator<Item = fathom_model::Result<Emitted>>) -> Vec<Vec<(u32, usize)>> {
    let mut found = vec![Vec::new(); PROMPTS.len()];
    for emitted in decoding {
        let Emitted { prompt, token, steps, .. } = emitted.unwrap();
        found[prompt].push((token, steps));
    }
    found
}

fn tokens(found: &[Vec<(u32, usize)>]) -> Vec<Vec<u32>> {
    found.iter().map(|of_one| of_one.iter().map(|(token, _)| *token).collect()).collect()
}

fn settings() -> Settings {
    Settings {
        sampling: Sampling { temperature: 0.8, top_p: 0.9, ..Sampling::GREEDY },
        ..Settings::new(6, 9)
    }
}

/// What a prompt becomes does not depend on its neighbours, whatever iterations they stand at, nor on how many there are.
#[test]
fn a_prompt_is_continued_alike_in_any_batch() {
    on(&Device::Cpu, |huginn| {
        for criterion in [
            None,
            Some(Criterion::LatentDiff),
            Some(Criterion::EntropyDiff),
            Some(Criterion::SecondDifference),
        ] {
            let exit = criterion.map(|criterion| ExitRule { threshold: 0.4, ..ExitRule::new(criterion) });
            let settings = Settings { exit, ..settings() };
            let run = |batch| sorted(Lanes::new(huginn, prompts(), batch, settings.clone()).unwrap());
            let alone = run(1);
            assert!(alone.iter().all(|of_one| of_one.len() == 9));
            assert_eq!([run(2), run(3)], [alone.clone(), alone.clone()], "{criterion:?}");
            if criterion == Some(Criterion::LatentDiff) {
                let steps: Vec<usize> = alone.iter().flatten().map(|(_, steps)| *steps).collect();
                assert!(
                    steps.iter().any(|&a| a < 6) && steps.windows(2).any(|pair| pair[0] != pair[1]),
                    "{steps:?}"
                );
            }
        }
    });
}

/// Rows that go on by themselves need fewer passes than rows that wait for each other.
#[test]
fn places_are_refilled() {
    on(&Device::Cpu, |huginn| {
        let rule = ExitRule { threshold: 0.4, ..ExitRule::new(Criterion::LatentDiff) };
        let strict = Settings { exit: Some(rule), ..Settings::new(6, 9) };
        let passes = |settings: &Settings| {
            let mut lanes = Lanes::new(huginn, prompts(), 2, settings.clone()).unwrap();
            assert!(lanes.by_ref().all(|emitted| emitted.is_ok()));
            lanes.cost().core_passes
        };
        let lock_step = Settings { preset: fathom_model::generate::Preset::Reference, ..strict.clone() };
        assert!(passes(&strict) < passes(&lock_step), "{} {}", passes(&strict), passes(&lock_step));
    });
}

/// Greedy drafts change nothing but the passes; with as many iterations as the verification every draft is accepted, drawn or
/// not.
#[test]
fn drafts_change_no_text() {
    on(&Device::Cpu, |huginn| {
        let greedy = Settings::new(6, 9);
        for cache in [CachePolicy::Full, CachePolicy::Shared { iterations: 1 }] {
            let greedy = Settings { cache, ..greedy.clone() };
            let mut plain = Lanes::new(huginn, prompts(), 1, greedy.clone()).unwrap();
            let expected = tokens(&sorted(plain.by_ref()));
            for (steps, lookahead) in [(1, 3), (2, 8), (5, 1)] {
                let draft = Draft { steps, lookahead, threshold: 1.0 };
                let mut decoding = Speculative::new(huginn, prompts(), 2, greedy.clone(), draft).unwrap();
                let got = tokens(&sorted(decoding.by_ref()));
                // Shared slots make a text depend on which tokens went through the network together (spec huginn §3.1).
                if cache == CachePolicy::Full {
                    assert_eq!(got, expected, "{draft:?}");
                }
                assert!(got.iter().all(|of_one| of_one.len() == 9), "{draft:?} {cache:?}");
            }
        }
        let draft = Draft { steps: 6, lookahead: 4, threshold: 1.0 };
        let mut decoding = Speculative::new(huginn, prompts(), 3, settings(), draft).unwrap();
        assert!(decoding.by_ref().all(|emitted| emitted.is_ok()));
        let [drafted, accepted] = decoding.drafts();
        assert!(drafted > 0 && drafted == accepted, "{accepted} of {drafted}");
    });
}

/// A token in place of a rejected draft is drawn so that the text is distributed as without drafts: by the frequencies of the
/// second token over many seeds, within four standard errors of the difference.
#[test]
fn drafted_tokens_are_distributed_as_plain_ones() {
    const SEEDS: u64 = 3000;
    on(&Device::Cpu, |huginn| {
        let base = Settings { initial: 0.0, ..Settings::new(4, 3) };
        let sampled = Sampling { temperature: 1.5, top_k: 4, ..Sampling::GREEDY };
        let mut counts = vec![[0.0f64; 2]; huginn.head().n()];
        for seed in 0..SEEDS {
            let settings = Settings { seed, sampling: sampled, ..base.clone() };
            let prompt = vec![PROMPTS[1].to_vec()];
            let draft = Draft { steps: 1, lookahead: 2, threshold: 1.0 };
            let plain = Lanes::new(huginn, prompt.clone(), 1, settings.clone()).unwrap();
            let drafted = Speculative::new(huginn, prompt, 1, settings, draft).unwrap();
            let second =
                |token: Option<fathom_model::Result<Emitted>>| token.unwrap().unwrap().token as usize;
            counts[second(plain.into_iter().nth(1))][0] += 1.0;
            counts[second(drafted.into_iter().nth(1))][1] += 1.0;
        }
        let n = SEEDS as f64;
        for (token, [plain, drafted]) in counts.into_iter().enumerate() {
            let share = (plain + drafted) / (2.0 * n);
            let allowed = 4.0 * (2.0 * share * (1.0 - share) / n).sqrt();
            assert!((plain - drafted).abs() / n <= allowed, "{token}: {plain} and {drafted} of {n}");
        }
    });
}

/// A wave gives as many tokens as are asked for, and needs no more rounds than a token's iterations for each.
#[test]
fn waves_come_to_their_end() {
    on(&Device::Cpu, |huginn| {
        let shared = CachePolicy::Shared { iterations: 1 };
        let settings = Settings { cache: shared, ..Settings::new(4, 7) };
        let wave = Wave { inner: 2, threshold: 0.05, ..Wave::default() };
        let mut decoding = Wavefront::new(huginn, prompts(), settings, wave).unwrap();
        let found: Vec<Emitted> = decoding.by_ref().map(Result::unwrap).collect();
        for prompt in 0..PROMPTS.len() {
            let of_one: Vec<&Emitted> = found.iter().filter(|emitted| emitted.prompt == prompt).collect();
            assert_eq!(of_one.len(), 7);
            assert_eq!(of_one[6].end, Some(End::Length));
            assert!(of_one[..6].iter().all(|emitted| emitted.end.is_none()));
        }
        // A position is done after a token's iterations: no text costs more rounds than that.
        assert!(decoding.rounds() <= PROMPTS.len() * 7 * 2, "{}", decoding.rounds());
    });
}

/// The same texts on the emulated GPU.
#[test]
fn devices_agree() {
    let all = |device: &Device| {
        let mut found = Vec::new();
        on(device, |huginn| {
            let rule = ExitRule { threshold: 0.4, ..ExitRule::new(Criterion::LatentDiff) };
            let settings = Settings { exit: Some(rule), ..Settings::new(4, 4) };
            found.push(sorted(Lanes::new(huginn, prompts(), 3, settings.clone()).unwrap()));
            let plain = Settings { exit: None, ..settings };
            let draft = Draft { steps: 2, lookahead: 3, threshold: 1.0 };
            found.push(sorted(Speculative::new(huginn, prompts(), 3, plain.clone(), draft).unwrap()));
            let shared = Settings { cache: CachePolicy::Shared { iterations: 1 }, ..plain };
            let wave = Wave { inner: 2, ..Wave::default() };
            found.push(sorted(Wavefront::new(huginn, prompts(), shared, wave).unwrap()));
        });
        found
    };
    assert_eq!(all(&"emulated".parse().unwrap()), all(&Device::Cpu));
}

#[test]
fn impossible_settings_are_refused() {
    on(&Device::Cpu, |huginn| {
        let base = Settings::new(4, 3);
        let rule = ExitRule::new(Criterion::Kl);
        let exit = |rule| Settings { exit: Some(rule), ..base.clone() };
        let lanes = |prompts: Vec<Vec<u32>>, settings| Lanes::new(huginn, prompts, 1, settings).map(drop);
        let one = vec![vec![1]];
        let long = vec![vec![1; huginn.context()]];
        for (outcome, named) in [
            (lanes(one.clone(), exit(ExitRule { threshold: f32::NAN, ..rule })), "threshold"),
            (lanes(one.clone(), exit(ExitRule { threshold: 0.0, ..rule })), "threshold"),
            (lanes(one.clone(), exit(ExitRule { min_steps: 4, ..rule })), "min-steps"),
            (lanes(one.clone(), exit(ExitRule { every: 0, ..rule })), "every"),
            (lanes(vec![vec![]], base.clone()), "prompt"),
            (lanes(vec![vec![u32::MAX]], base.clone()), "prompt"),
            (lanes(long, base.clone()), "context"),
        ] {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{error}");
        }
        let draft = |steps, lookahead| Draft { steps, lookahead, threshold: 1.0 };
        for (draft, settings) in
            [(draft(5, 2), base.clone()), (draft(1, 0), base.clone()), (draft(1, 2), exit(rule))]
        {
            assert!(Speculative::new(huginn, one.clone(), 1, settings, draft).is_err(), "{draft:?}");
        }
        let wave = |wave| Wavefront::new(huginn, one.clone(), base.clone(), wave).is_err();
        assert!(wave(Wave { inner: 0, ..Wave::default() }) && wave(Wave { headway: 0, ..Wave::default() }));
        assert!(wave(Wave { ema: 2.0, ..Wave::default() }) && wave(Wave { inner: 5, ..Wave::default() }));
        // As far ahead as there is anything to say: no number is too large.
        let far = Draft { steps: 1, lookahead: usize::MAX, threshold: 1.0 };
        assert_eq!(Speculative::new(huginn, one.clone(), 1, base.clone(), far).unwrap().count(), 3);
        let wide = Wave { inner: 2, headway: usize::MAX - 1, width: usize::MAX, ..Wave::default() };
        assert_eq!(Wavefront::new(huginn, one.clone(), base.clone(), wide).unwrap().count(), 3);
    });
}

/// Where the context ends, a wave ends as plain decoding does: with the same number of tokens, the last of them told why.
#[test]
fn waves_end_with_the_context() {
    on(&Device::Cpu, |huginn| {
        for (short, headway) in [(1, 1), (1, 4), (2, 1), (5, 3)] {
            let prompt = vec![vec![7; huginn.context() - short]];
            let settings = Settings { cache: CachePolicy::Shared { iterations: 1 }, ..Settings::new(4, 99) };
            let plain: Vec<Emitted> = Lanes::new(huginn, prompt.clone(), 1, settings.clone())
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let wave = Wave { inner: 2, headway, ..Wave::default() };
            let found: Vec<Emitted> =
                Wavefront::new(huginn, prompt, settings, wave).unwrap().map(Result::unwrap).collect();
            let ends = |all: &[Emitted]| all.iter().map(|emitted| emitted.end).collect::<Vec<_>>();
            assert_eq!(plain.last().unwrap().end, Some(End::Context));
            assert_eq!(ends(&found), ends(&plain), "{short} {headway}");
        }
    });
}

/// Continuous compute hands on the raw state or the normed one, which are not the same; and nothing waits for ever under the
/// rules of the published code.
#[test]
fn waves_carry_what_they_are_told_and_come_to_an_end() {
    use fathom_model::generate::{Carry, Preset};
    on(&Device::Cpu, |huginn| {
        let base = Settings { cache: CachePolicy::Shared { iterations: 1 }, ..Settings::new(4, 12) };
        let wave = Wave { inner: 2, ..Wave::default() };
        let [raw, normed] = [Carry::Raw, Carry::Normed].map(|carry| {
            let settings = Settings { carry, ..base.clone() };
            tokens(&sorted(Wavefront::new(huginn, prompts(), settings, wave).unwrap()))
        });
        assert_ne!(raw, normed);
        let restless = Wave { width: 2, noise: 1.0, threshold: 1e-30, ..wave };
        let settings = Settings { preset: Preset::Reference, max_tokens: 3, ..base };
        let mut decoding = Wavefront::new(huginn, vec![vec![1]], settings, restless).unwrap();
        assert_eq!(decoding.by_ref().map(Result::unwrap).count(), 3);
        assert!(decoding.rounds() > 4096, "{}", decoding.rounds());
    });
}

/// A share below 1 accepts by what is drawn from: a filter that leaves one token leaves no other to accept.
#[test]
fn accepted_drafts_pass_the_filters() {
    on(&Device::Cpu, |huginn| {
        let one = Sampling { temperature: 1.0, top_k: 1, ..Sampling::GREEDY };
        let greedy = Settings::new(6, 9);
        let expected = tokens(&sorted(Lanes::new(huginn, prompts(), 1, greedy.clone()).unwrap()));
        let settings = Settings { sampling: one, ..greedy };
        let draft = Draft { steps: 1, lookahead: 4, threshold: 1e-6 };
        let got = tokens(&sorted(Speculative::new(huginn, prompts(), 2, settings, draft).unwrap()));
        assert_eq!(got, expected);
    });
}
