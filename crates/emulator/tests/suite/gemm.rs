//! A matrix product through cp.async, ldmatrix and mma, and what its planted bugs lead to.

use crate::params::Gemm;
use crate::{Aligned, bf16, launch, small};
use fathom_emulator::mutation::{Verdict, survey};
use fathom_emulator::{Copies, Counters, Options, Report};

const NO_BARRIER: u32 = 1;
const WAIT_OFF_BY_ONE: u32 = 2;
const LOAD_BEFORE_BARRIER: u32 = 3;
const NO_SWIZZLE: u32 = 4;

/// Operands A[m, k] and B[n, k] of small integers, so that every order of summation gives the same bits.
pub(crate) fn operands([m, n, k]: [usize; 3]) -> [Aligned<u16>; 2] {
    let matrix = |rows: usize, from| (from..from + rows * k).map(|i| bf16(small(i))).collect::<Vec<u16>>();
    [Aligned::new(&matrix(m, 0)), Aligned::new(&matrix(n, 12345))]
}

pub(crate) fn expected([m, n, k]: [usize; 3]) -> Vec<f32> {
    let dot = |i: usize, j: usize| (0..k).map(|l| small(i * k + l) * small(j * k + l + 12345)).sum();
    (0..m * n).map(|at| dot(at / n, at % n)).collect()
}

fn product(shape: [usize; 3], bug: u32, options: &Options) -> Result<(Vec<f32>, Counters), Report> {
    let [m, n, k] = shape;
    let [mut a, mut b] = operands(shape);
    let mut c = Aligned::filled(f32::NAN, m * n);
    let params =
        Gemm { a: a.address(), b: b.address(), c: c.address(), m: m as u32, n: n as u32, k: k as u32, bug };
    let grid = [n.div_ceil(64) as u32, m.div_ceil(64) as u32, 1];
    // SAFETY: the matrices have the sizes given.
    let counters = unsafe { launch("gemm_mma", &params, grid, 128, 3 * 8192, options)? };
    Ok((c.get().to_vec(), counters))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

const SHAPE: [usize; 3] = [70, 130, 256];

#[test]
fn products_are_exact_under_every_schedule() {
    for shape in [SHAPE, [64, 64, 32], [1, 1, 64], [65, 63, 96]] {
        let profile = Options { profile: true, ..Options::default() };
        for options in Options::suite(3).into_iter().chain([profile]) {
            let (c, _) = product(shape, 0, &options).unwrap();
            assert_eq!(c, expected(shape), "{shape:?}, {options:?}");
        }
    }
}

#[test]
fn copies_are_counted() {
    let (_, counters) = product([64, 64, 96], 0, &Options::default()).unwrap();
    assert_eq!(counters.copied_bytes, 2 * 64 * 96 * 2);
    assert_eq!(counters.barriers, 3);
}

#[test]
fn a_missing_barrier_differs_between_schedules() {
    let all: Vec<_> =
        Options::suite(3).iter().map(|way| product(SHAPE, NO_BARRIER, way).unwrap().0).collect();
    assert!(all.iter().any(|c| *c != expected(SHAPE)));
    assert!(all.iter().any(|c| bits(c) != bits(&all[0])), "all schedules agree");
}

#[test]
fn a_wait_off_by_one_reads_poison_if_copies_are_lazy() {
    let lazy = Options { copies: Copies::Lazy, ..Options::default() };
    let (c, _) = product(SHAPE, WAIT_OFF_BY_ONE, &lazy).unwrap();
    assert!(c.iter().any(|c| c.is_nan()));
}

#[test]
fn a_load_before_its_barrier_overwrites_if_copies_are_eager() {
    let wrong = |copies| {
        let ways = Options::suite(3).into_iter().filter(move |way| way.copies == copies);
        ways.filter(|way| product(SHAPE, LOAD_BEFORE_BARRIER, way).unwrap().0 != expected(SHAPE)).count()
    };
    assert!(wrong(Copies::Eager) > 0);
    assert_eq!(wrong(Copies::Lazy), 0, "a lazy copy comes too late to do harm");
}

#[test]
fn a_wrong_swizzle_costs_bank_conflicts_alone() {
    let profile = Options { profile: true, ..Options::default() };
    let (c, good) = product([64, 64, 64], 0, &profile).unwrap();
    let (d, bad) = product([64, 64, 64], NO_SWIZZLE, &profile).unwrap();
    assert_eq!(c, d);
    assert_eq!(good.shared.excess(), 0);
    assert!(bad.shared.excess() >= bad.shared.least, "{:?}", bad.shared);
    assert_eq!(good.global, bad.global);
}

#[test]
fn removals_are_noticed() {
    let check = |options: &Options| -> Verdict {
        let (c, counters) = product(SHAPE, 0, options)?;
        if c == expected(SHAPE) { Ok(counters) } else { Err("wrong product".into()) }
    };
    let mutations = survey(&Options::suite(2), check).unwrap();
    let unnoticed: Vec<_> = mutations.iter().filter(|mutation| mutation.noticed.is_none()).collect();
    assert_eq!(mutations.len(), 4, "two commits, a wait, a barrier: {mutations:?}");
    // Leaving out both prologue commits would shift the groups; leaving out the loop's merges them all.
    assert!(unnoticed.is_empty(), "{unnoticed:?}");
}
