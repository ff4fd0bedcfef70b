//! Every report, by a kernel that earns it.

use crate::params::Words;
use crate::{ENTRIES, launch};
use fathom_emulator::{Launch, Machine, Options, Report, Wait, find};

/// The report that mode `mode` of the kernel `fault` ends in, the same under every schedule.
fn report(mode: u32) -> Report {
    let run = |options: &Options| {
        let mut output = [0f32; 1];
        let params = Words { input: 0, output: output.as_mut_ptr() as u64, mode, n: 0 };
        // SAFETY: the kernel writes one word of output at most.
        unsafe { launch("fault", &params, [12, 1, 1], 128, 1024, options) }
    };
    let limited = |options: Options| Options { step_limit: 10_000, ..options };
    let reports: Vec<Report> =
        Options::suite(3).into_iter().map(|options| run(&limited(options)).unwrap_err()).collect();
    let kind = std::mem::discriminant::<Report>;
    assert!(reports.iter().all(|report| kind(report) == kind(&reports[0])), "{reports:?}");
    reports[0].clone()
}

macro_rules! reports {
    ($($name:ident: $mode:literal => $pattern:pat $(if $guard:expr)?, $text:literal;)*) => {$(
        #[test]
        fn $name() {
            let report = report($mode);
            assert!(matches!(&report, $pattern $(if $guard)?), "{report}");
            assert!(report.to_string().contains($text), "{report}");
        }
    )*};
}

reports! {
    an_access_beyond_its_array: 0 => Report::OutOfBounds { place, offset: 256, bytes: 4, limit: 256 }
        if place.thread == [70, 0, 0] && &*place.site.file == "faults.cu", "shared access at faults.cu";
    an_access_before_its_array: 1 => Report::OutOfBounds { offset: -4, .. }, "4 bytes at offset -4 of 256";
    an_array_beyond_the_launch: 2 => Report::OutOfBounds { limit: 1024, .. }, "shared memory at";
    a_misaligned_vector: 3 => Report::Misaligned { alignment: 16, .. }, "no multiple of 16";
    a_matrix_beyond_its_array: 4 => Report::OutOfBounds { bytes: 16, .. }, "ldmatrix.x4";
    a_mask_without_its_own_lane: 5 => Report::Mask { mask: 0x7fff_ffff, .. }, "0x7fffffff";
    a_shuffle_from_outside_its_mask: 6 => Report::Misuse { .. }, "reads a lane outside the mask";
    barriers_in_two_branches: 7 => Report::Divergence { .. }, "__syncthreads at faults.cu";
    a_lane_that_returned: 8 => Report::ReturnedLane { lanes: 2, .. }, "__syncwarp";
    a_barrier_of_two_sizes: 9 => Report::Misuse { .. }, "takes";
    a_barrier_that_never_fills: 10 => Report::Deadlock { waiting, returned: 32, .. }
        if matches!(waiting[..], [fathom_emulator::Waiting {
            on: Wait::Barrier { id: 3, arrived: 96, expected: 128 }, ..
        }]), "threads 0-63, 96-127 wait in bar.sync";
    an_mbarrier_without_init: 11 => Report::Misuse { .. }, "not initialised";
    an_arrival_too_many: 12 => Report::Misuse { .. }, "more arrivals";
    a_phase_that_never_ends: 13 => Report::Deadlock { waiting, .. }
        if matches!(waiting[0].on, Wait::Phase { offset: 256, parity: 0, arrivals: 1, bytes: 0 }),
        "lacks 1 arrivals";
    a_loop_without_end: 14 => Report::Runaway { steps: 10_000, .. }, "within 10000 steps";
    a_product_without_a_fence: 15 => Report::Misuse { .. }, "no wgmma.fence";
    a_product_of_three_warps: 16 => Report::Misuse { .. }, "warp 3 of the warpgroup";
    the_first_block_that_fails: 17 => Report::OutOfBounds { place, .. } if place.block == [5, 0, 0], "block [5, 0, 0]";
    barriers_in_opposite_order: 18 => Report::Deadlock { waiting, returned: 64, .. } if waiting.len() == 2,
        "where 32 of 64 threads came";
}

#[test]
fn launches_that_a_driver_would_refuse() {
    let entry = find(ENTRIES, "fault").unwrap();
    assert_eq!((entry.name(), entry.params_bytes(), entry.max_threads()), ("fault", 24, 128));
    let bytes = [0u8; 24];
    let good = Launch { entry, params: &bytes, grid: [1; 3], block: [32, 1, 1], shared_bytes: 0 };
    for (launch, text) in [
        (Launch { params: &bytes[..20], ..good }, "20 parameter bytes, not 24"),
        (Launch { block: [256, 1, 1], ..good }, "exceeds the bounds' 128 threads"),
        (Launch { block: [0, 1, 1], ..good }, "no block can be"),
        (Launch { block: [2048, 1, 1], ..good }, "no block can be"),
        (Launch { grid: [1, 70000, 1], ..good }, "no grid can be"),
        (Launch { shared_bytes: 300_000, ..good }, "exceed 232448"),
    ] {
        // SAFETY: refused before anything runs.
        let report = unsafe { Machine::new().run(&launch, &Options::default()) }.unwrap_err();
        assert!(matches!(&report, Report::Launch { kernel, .. } if kernel == "fault"), "{report}");
        assert!(report.to_string().contains(text), "{report}");
    }
}

#[test]
fn an_unknown_entry_is_named_beside_those_there_are() {
    let report = find(ENTRIES, "reduce_columns").unwrap_err();
    assert!(report.to_string().starts_with("no kernel 'reduce_columns' (known: reduce_rows, "), "{report}");
}

#[test]
fn a_machine_runs_on_after_a_report() {
    let entry = find(ENTRIES, "fault").unwrap();
    let machine = Machine::new();
    let run = |mode: u32| {
        let mut output = [0f32; 1];
        let address = (output.as_mut_ptr() as u64).to_ne_bytes();
        let params = [&[0; 8][..], &address, &mode.to_ne_bytes(), &[0; 4]].concat();
        let launch =
            Launch { entry, params: &params, grid: [40, 1, 1], block: [128, 1, 1], shared_bytes: 1024 };
        // SAFETY: the kernel writes one word of output at most.
        unsafe { machine.run(&launch, &Options::default()) }
    };
    for _ in 0..3 {
        assert!(matches!(run(13), Err(Report::Deadlock { .. })));
        assert_eq!(run(u32::MAX).unwrap().blocks, 40);
    }
}
