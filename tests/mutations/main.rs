//! Each barrier, arrival and wait that a product kernel executes is left out in turn; a test has to notice: by other bits
//! than before under some schedule, by a NaN, or by the emulator's report (docs/emulator.md).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod attention;
mod products;
mod rows;
mod training;

use fathom::{Device, Emulated};
use fathom_emulator::{Options, mutation};

/// The card that is emulated: which forms of the products run.
#[derive(Debug, Clone, Copy)]
enum Card {
    Ampere,
    Hopper,
}

impl Card {
    fn emulated(self, options: &Options) -> Emulated {
        match self {
            Card::Ampere => Emulated::sm_80(options.clone()),
            Card::Hopper => Emulated::sm_90a(options.clone()),
        }
    }
}

/// Surveys what `run` launches; it returns everything that the kernels wrote.
///
/// Every way to run gives the same bits. Sites that no way notices have to be those `excepted`, by a part of their names:
/// each stands in docs/emulator.md with the check that covers it.
#[track_caller]
fn survey(card: Card, excepted: &[&str], run: impl Fn(&Device) -> fathom::Result<Vec<f32>>) {
    let expected = bits(&run(&card.emulated(&Options::default()).device()).unwrap());
    assert!(!expected.is_empty());
    // A kernel gone astray must not take long.
    let ways: Vec<Options> =
        Options::suite(2).into_iter().map(|way| Options { step_limit: 1 << 22, ..way }).collect();
    let found = mutation::survey(&ways, |options| {
        let emulated = card.emulated(options);
        let got = run(&emulated.device())?;
        if bits(&got) != expected {
            return Err("other bits".into());
        }
        Ok(emulated.counters())
    });
    let found = found.unwrap();
    assert!(!found.is_empty(), "nothing to remove");
    let is_excepted = |site: &str| excepted.iter().any(|part| site.contains(part));
    let unnoticed: Vec<String> =
        found.iter().filter(|m| m.noticed.is_none()).map(|m| m.site.to_string()).collect();
    let surprising: Vec<_> = unnoticed.iter().filter(|site| !is_excepted(site)).collect();
    assert!(surprising.is_empty(), "not noticed: {surprising:#?}");
    let idle: Vec<_> = excepted.iter().filter(|part| !unnoticed.iter().any(|s| s.contains(**part))).collect();
    assert!(idle.is_empty(), "noticed after all: {idle:#?}");
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
