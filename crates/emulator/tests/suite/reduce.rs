//! A reduction by shuffles and shared memory, and what its planted bugs lead to.

use crate::params::Reduce;
use crate::{Aligned, launch, small};
use fathom_emulator::mutation::{Verdict, survey};
use fathom_emulator::{Counters, Options, Report};

const ROWS: usize = 9;

fn sums(width: usize, bug: u32, options: &Options) -> Result<(Vec<f32>, Counters), Report> {
    rows("reduce_rows", width, bug, options)
}

fn rows(name: &str, width: usize, bug: u32, options: &Options) -> Result<(Vec<f32>, Counters), Report> {
    let mut x = Aligned::new(&(0..ROWS * width).map(small).collect::<Vec<f32>>());
    let mut y = Aligned::filled(f32::NAN, ROWS);
    let params = Reduce { x: x.address(), y: y.address(), width: width as u32, bug };
    // SAFETY: x and y have the rows that the grid covers.
    let counters = unsafe { launch(name, &params, [ROWS as u32, 1, 1], 256, 128, options)? };
    Ok((y.get().to_vec(), counters))
}

fn expected(width: usize) -> Vec<f32> {
    (0..ROWS).map(|row| (row * width..(row + 1) * width).map(small).sum()).collect()
}

const NO_BARRIER: u32 = 1;
const DIVERGENT_SHUFFLE: u32 = 2;
const EARLY_RETURN: u32 = 3;

#[test]
fn sums_are_exact_under_every_schedule() {
    for width in [1, 31, 256, 1000] {
        for options in Options::suite(4) {
            let (y, counters) = sums(width, 0, &options).unwrap();
            assert_eq!(y, expected(width), "width {width}, {options:?}");
            assert_eq!((counters.blocks, counters.barriers), (9, 9));
            assert_eq!(counters.collectives, 9 * 8 * 10, "two sums of five shuffles for each of eight warps");
        }
    }
}

#[test]
fn a_missing_barrier_reads_poison() {
    let (y, _) = sums(1000, NO_BARRIER, &Options::default()).unwrap();
    assert!(y.iter().all(|y| y.is_nan()), "{y:?}");
}

#[test]
fn a_divergent_shuffle_is_reported() {
    for options in Options::suite(2) {
        let report = sums(64, DIVERGENT_SHUFFLE, &options).unwrap_err();
        let Report::Divergence { block: [0, 0, 0], first, second, .. } = &report else { panic!("{report}") };
        let mut instructions = [&*first.instruction, &*second.instruction];
        instructions.sort_unstable();
        assert_eq!(instructions, ["__shfl_down_sync", "__shfl_xor_sync"]);
        assert_eq!(&*first.file, "reduce.cu");
    }
}

#[test]
fn a_returned_lane_is_reported() {
    for options in Options::suite(2) {
        let report = sums(64, EARLY_RETURN, &options).unwrap_err();
        let Report::ReturnedLane { place, lanes } = &report else { panic!("{report}") };
        assert_eq!(*lanes, 1 << 8, "lane 8 of warp 1");
        assert_eq!(place.thread[0] / 32, 1);
    }
}

#[test]
fn removals_are_noticed() {
    let check = |options: &Options| -> Verdict {
        let (y, counters) = sums(1000, 0, options)?;
        if y == expected(1000) { Ok(counters) } else { Err(format!("{y:?}").into()) }
    };
    let mutations = survey(&Options::suite(1), check).unwrap();
    assert_eq!(mutations.len(), 1);
    assert_eq!(&*mutations[0].site.instruction, "__syncthreads");
    assert!(mutations[0].noticed.is_some());

    // A check that looks at nothing notices nothing.
    let blind = |options: &Options| -> Verdict { Ok(sums(1000, 0, options)?.1) };
    assert_eq!(survey(&Options::suite(1), blind).unwrap()[0].noticed, None);
}

/// A barrier that keeps a second use of shared memory from overtaking the first, as one that keeps reads after writes.
#[test]
fn removals_are_noticed_where_shared_memory_is_used_again() {
    let expected = rows("spread_rows", 1024, 0, &Options::default()).unwrap().0;
    let check = |options: &Options| -> Verdict {
        let (y, counters) = rows("spread_rows", 1024, 0, options)?;
        let same = y.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
        if same { Ok(counters) } else { Err("bits differ".into()) }
    };
    let mutations = survey(&Options::suite(1), check).unwrap();
    assert_eq!(mutations.len(), 2, "{mutations:?}");
    assert!(mutations.iter().all(|mutation| mutation.noticed.is_some()), "{mutations:?}");
}

#[test]
fn rows_are_read_without_waste() {
    let profile = Options { profile: true, ..Options::default() };
    let (_, counters) = sums(1024, 0, &profile).unwrap();
    assert_eq!(counters.shared.excess(), 0);
    // 32 requests of four sectors a row, plus one store of one sector.
    assert_eq!((counters.global.requests, counters.global.units), (9 * 33, 9 * (128 + 1)));
}
