//! A matrix product through TMA, mbarriers and wgmma, and what its planted bugs lead to.

use crate::gemm::{expected, operands};
use crate::params::Hopper;
use crate::{Aligned, launch};
use fathom_emulator::mutation::{Verdict, survey};
use fathom_emulator::{Copies, Counters, Options, Report, Swizzle, TensorMap, Wait};

const NO_EMPTY_WAIT: u32 = 1;
const WRONG_PARITY: u32 = 2;
const NO_ARRIVE: u32 = 3;
const NO_FULL_WAIT: u32 = 4;
const NO_PRODUCT_WAIT: u32 = 5;
const NO_INIT_FENCE: u32 = 6;

fn product(shape: [usize; 3], bug: u32, options: &Options) -> Result<(Vec<f32>, Counters), Report> {
    let [m, n, k] = shape;
    let [mut a, mut b] = operands(shape);
    let mut c = Aligned::filled(f32::NAN, m * n);
    let map = |base: u64, rows: usize| {
        let [rows, columns] = [rows as u64, k as u64];
        TensorMap::new(base, [rows, columns], columns * 2, [64, 64], 2, Swizzle::Bytes128).unwrap()
    };
    let params = Hopper {
        a: map(a.address(), m),
        b: map(b.address(), n),
        c: c.address(),
        m: m as u32,
        n: n as u32,
        k: k as u32,
        bug,
        padding: [0; 5],
    };
    let grid = [n.div_ceil(64) as u32, m.div_ceil(64) as u32, 1];
    let name = if bug == 0 { "gemm_wgmma" } else { "gemm_wgmma_faulty" };
    // SAFETY: the matrices have the sizes given.
    let counters = unsafe { launch(name, &params, grid, 256, 3 * 16384 + 48, options)? };
    Ok((c.get().to_vec(), counters))
}

const SHAPE: [usize; 3] = [70, 130, 512];

#[test]
fn products_are_exact_under_every_schedule() {
    for shape in [SHAPE, [64, 64, 64], [1, 1, 64], [65, 63, 192]] {
        let profile = Options { profile: true, ..Options::default() };
        for options in Options::suite(3).into_iter().chain([profile]) {
            let (c, counters) = product(shape, 0, &options).unwrap();
            assert_eq!(c, expected(shape), "{shape:?}, {options:?}");
            let blocks = shape[0].div_ceil(64) * shape[1].div_ceil(64);
            assert_eq!(counters.copied_bytes, (blocks * shape[2] / 64 * 2 * 8192) as u64);
        }
    }
}

/// What the ways to run `bug` come to: reports, and products that are wrong.
fn outcomes(bug: u32) -> (Vec<Report>, usize) {
    let mut reports = Vec::new();
    let mut wrong = 0;
    for options in Options::suite(3) {
        match product(SHAPE, bug, &options) {
            Ok((c, _)) => wrong += usize::from(c != expected(SHAPE)),
            Err(report) => reports.push(report),
        }
    }
    (reports, wrong)
}

#[test]
fn a_missing_empty_wait_is_noticed() {
    let (reports, wrong) = outcomes(NO_EMPTY_WAIT);
    assert!(wrong + reports.len() > 0);
}

#[test]
fn a_wrong_parity_is_noticed_in_every_way() {
    let (reports, wrong) = outcomes(WRONG_PARITY);
    assert_eq!(wrong + reports.len(), 8);
}

#[test]
fn a_missing_arrival_is_a_deadlock_that_names_both_sides() {
    for options in Options::suite(3) {
        let report = product(SHAPE, NO_ARRIVE, &options).unwrap_err();
        let Report::Deadlock { waiting, .. } = &report else { panic!("{report}") };
        let producer = waiting.iter().find(|group| group.threads == [128]).unwrap();
        assert_eq!(&*producer.site.instruction, "mbarrier.try_wait.parity");
        assert!(matches!(producer.on, Wait::Phase { arrivals: 128, bytes: 0, .. }), "{report}");
        let consumers = waiting.iter().find(|group| group.threads.len() == 128).unwrap();
        assert!(matches!(consumers.on, Wait::Phase { arrivals: 1, .. }), "{report}");
        assert!(report.to_string().contains("threads 0-127 wait in"), "{report}");
    }
}

#[test]
fn a_missing_full_wait_is_noticed_in_every_way() {
    let (reports, wrong) = outcomes(NO_FULL_WAIT);
    assert_eq!(wrong + reports.len(), 8);
}

#[test]
fn products_must_be_waited_for() {
    let lazy = Options { copies: Copies::Lazy, ..Options::default() };
    let report = product(SHAPE, NO_PRODUCT_WAIT, &lazy).unwrap_err();
    assert!(matches!(report, Report::Unfinished { .. }), "{report}");
}

#[test]
fn a_missing_fence_after_the_initialisation_is_reported() {
    let report = product(SHAPE, NO_INIT_FENCE, &Options::default()).unwrap_err();
    assert!(matches!(report, Report::Misuse { .. }), "{report}");
}

#[test]
fn removals_are_noticed() {
    let check = |options: &Options| -> Verdict {
        let (c, counters) = product(SHAPE, 0, options)?;
        if c == expected(SHAPE) { Ok(counters) } else { Err("wrong product".into()) }
    };
    let mutations = survey(&Options::suite(2), check).unwrap();
    let unnoticed: Vec<_> = mutations.iter().filter(|mutation| mutation.noticed.is_none()).collect();
    assert_eq!(mutations.len(), 9, "{mutations:?}");
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
