//! Single instructions against what PTX and CUDA say of them.

use crate::params::{Box2d, Words};
use crate::{Aligned, ENTRIES, bf16, launch, small};
use fathom_emulator::mutation::{Verdict, survey};
use fathom_emulator::{Counters, Launch, Machine, Options, Report, Swizzle, TensorMap, find};

fn run(
    name: &str,
    input: &[u32],
    output: &mut [u32],
    block: u32,
    shared: u32,
    options: &Options,
) -> Result<Counters, Report> {
    let params = Words {
        input: input.as_ptr() as u64,
        output: output.as_mut_ptr() as u64,
        mode: 0,
        n: input.len() as u32,
    };
    // SAFETY: each caller passes slices as long as the kernel's indices.
    unsafe { launch(name, &params, [1, 1, 1], block, shared, options) }
}

#[test]
fn every_thread_of_every_block_has_its_place() {
    let entry = find(ENTRIES, "places").unwrap();
    for (grid, block) in
        [([3, 2, 2], [8, 4, 3]), ([1, 5, 1], [5, 3, 3]), ([2, 1, 1], [1024, 1, 1]), ([4, 1, 3], [1; 3])]
    {
        let count = grid.iter().chain(&block).product::<u32>() as usize;
        let mut output = vec![0u32; count];
        let address = (output.as_mut_ptr() as u64).to_ne_bytes();
        let params = [&[0; 8][..], &address, &[0; 8]].concat();
        for options in Options::suite(2) {
            let launch = Launch { entry, params: &params, grid, block, shared_bytes: 0 };
            // SAFETY: output has a word for each thread.
            let counters = unsafe { Machine::new().run(&launch, &options).unwrap() };
            assert_eq!(
                (counters.blocks, counters.barriers),
                (grid.iter().product::<u32>() as u64, counters.blocks)
            );
        }
        let ways = Options::suite(2).len() as u32;
        assert!(output.iter().all(|&times| times == ways), "{grid:?} {block:?}");
    }
}

#[test]
fn shuffles_and_votes() {
    let input: Vec<u32> = (0..32).map(|lane| lane * lane + 3).collect();
    let lanes = |f: &dyn Fn(usize) -> u32| (0..32).map(f).collect::<Vec<u32>>();
    let at = |lane: usize| input[lane];
    let ballot = (0..32).filter(|&lane| at(lane) & 1 == 1).fold(0, |mask, lane| mask | 1 << lane);
    let expected: Vec<Vec<u32>> = vec![
        lanes(&|_| at(5)),
        lanes(&|l| at((l + 1) % 32)),
        lanes(&|l| at(l / 8 * 8 + 1)),
        lanes(&|l| at(l ^ 3)),
        lanes(&|l| at(if l >= 2 { l - 2 } else { l })),
        lanes(&|l| at(if l % 16 < 14 { l + 2 } else { l })),
        lanes(&|_| ballot),
        lanes(&|_| 1),
        lanes(&|_| 0),
        lanes(&|_| input.iter().sum()),
        lanes(&|_| at(31)),
        lanes(&|_| at(31).wrapping_neg()),
        lanes(&|l| at(if l < 16 { 0 } else { 31 })),
        lanes(&|_| input.iter().fold(0, |a, b| a ^ b)),
    ];
    for options in Options::suite(5) {
        let mut output = vec![0; 14 * 32];
        run("shuffles", &input, &mut output, 32, 0, &options).unwrap();
        for (mode, expected) in expected.iter().enumerate() {
            assert_eq!(output[mode * 32..][..32], expected[..], "mode {mode}");
        }
    }
}

#[test]
fn matrices_load_by_rows_and_by_columns() {
    let mut output = vec![0; 14 * 32];
    let counters =
        run("load_matrices", &[], &mut output, 32, 512, &Options { profile: true, ..Options::default() })
            .unwrap();
    assert_eq!(counters.shared.excess(), 0);
    let pair = |matrix: usize, (r0, c0): (usize, usize), (r1, c1): (usize, usize)| {
        let word = |r: usize, c: usize| (matrix * 64 + r * 8 + c) as u32;
        word(r0, c0) | word(r1, c1) << 16
    };
    for lane in 0..32 {
        let (g, t) = (lane / 4, lane % 4);
        for (register, matrix) in [0, 0, 1, 0, 1, 2, 3].into_iter().enumerate() {
            let plain = output[register * 32 + lane];
            let transposed = output[(7 + register) * 32 + lane];
            assert_eq!(plain, pair(matrix, (g, 2 * t), (g, 2 * t + 1)), "register {register}, lane {lane}");
            assert_eq!(
                transposed,
                pair(matrix, (2 * t, g), (2 * t + 1, g)),
                "register {register}, lane {lane}"
            );
        }
    }
}

#[test]
fn tf32_products() {
    // The lowest 13 bits do not count.
    let input: Vec<u32> = (0..128 + 64).map(|i| small(i).to_bits() | (i as u32 & 0x1fff)).collect();
    let mut output = vec![0; 128];
    run("multiply_tf32", &input, &mut output, 32, 0, &Options::default()).unwrap();
    for (at, &bits) in output.iter().enumerate() {
        let expected: f32 = (0..8).map(|k| small(at / 8 * 8 + k) * small(128 + k * 8 + at % 8)).sum();
        assert_eq!(f32::from_bits(bits), expected);
    }
}

#[test]
fn named_barriers_pair_warps() {
    let input: Vec<u32> = (100..164).collect();
    for options in Options::suite(5) {
        let mut output = vec![0; 64];
        let counters = run("pairs", &input, &mut output, 128, 256, &options).unwrap();
        let expected: Vec<u32> = (0..64).map(|i| 100 + i / 32 * 32 + 31 - i % 32).collect();
        assert_eq!(output, expected);
        assert_eq!(counters.barriers, 2);
    }
}

#[test]
fn short_copies_fill_with_zeros() {
    let input = Aligned::new(&[1u32, 2, 3, 4, 5, 6, 7]);
    let mut output = vec![9; 7];
    run("short_copies", input.get(), &mut output, 32, 28, &Options::default()).unwrap();
    assert_eq!(output, [1, 2, 3, 0, 5, 0, 0]);
}

#[test]
fn atomics_of_many_blocks() {
    let mut output = vec![0, u32::MAX, 0, 9];
    let params = Words { input: 0, output: output.as_mut_ptr() as u64, mode: 0, n: 0 };
    // SAFETY: the kernel updates four words of output.
    let counters = unsafe { launch("atomics", &params, [20, 1, 1], 256, 8, &Options::default()).unwrap() };
    let unmodelled = counters.unmodelled.iter().map(|(site, &count)| (&*site.instruction, count));
    assert_eq!(unmodelled.collect::<Vec<_>>(), [("__threadfence", 20 * 256)]);
    assert_eq!(output[..2], [20 * 255 * 128, (0..256).map(|t| t ^ 85).max().unwrap()]);
    assert_eq!(f32::from_bits(output[2]), 10.0);
    assert!((10..30).contains(&output[3]));
}

#[test]
fn scalar_functions() {
    let [tie_down, tie_up] = [0x3f80_8000, 0x3f81_8000].map(f32::from_bits);
    let values = [1.0, tie_down, tie_up, -2.5, f32::NAN, f32::INFINITY, f32::MAX, 1e-40, 0.1];
    let input: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
    let mut output = vec![0; values.len() + 8];
    run("scalars", &input, &mut output, 32, 0, &Options::default()).unwrap();
    // Ties go to even, NaN is 0x7fff, the largest f32 rounds to infinity.
    assert_eq!(output[..9], [0x3f80, 0x3f80, 0x3f82, 0xc020, 0x7fff, 0x7f80, 0x7f80, 0x0001, 0x3dcd]);
    let fma = 0.1f32.mul_add(0.1, -0.01).to_bits();
    let high = ((0xd251_1f53_u64 * 0x1234_5678) >> 32) as u32;
    let expected = [
        high,
        2f32.sqrt().to_bits(),
        fma,
        9 | 31 << 8 | 4 << 16,
        0x7755_3311,
        0x8000_0001,
        2,
        1f32.to_bits(),
    ];
    assert_eq!(output[9..], expected);
}

#[test]
fn boxes_are_clipped_and_swizzled() {
    // Rows of 32 u32 words (128 bytes), 20 rows of 40 columns.
    let (rows, columns) = (20usize, 40usize);
    let words: Vec<u32> = (1..=(rows * columns) as u32).collect();
    let mut data = Aligned::new(&words);
    let base = data.address();
    for (swizzle, x, y) in [
        (Swizzle::None, 0, 0),
        (Swizzle::None, 16, 12),
        (Swizzle::None, -3, -2),
        (Swizzle::Bytes128, 0, 3),
        (Swizzle::Bytes128, 20, 18),
        (Swizzle::None, 100, 100),
    ] {
        let size = [rows as u64, columns as u64];
        let map = TensorMap::new(base, size, columns as u64 * 4, [16, 32], 4, swizzle).unwrap();
        for options in Options::suite(1) {
            let mut output = vec![u32::MAX; 512];
            let params =
                Box2d { map, output: output.as_mut_ptr() as u64, x, y, words: 512, padding: [0; 11] };
            // SAFETY: the box has 512 words.
            unsafe { launch("load_box", &params, [1, 1, 1], 32, 2048 + 8, &options).unwrap() };
            for (at, &word) in output.iter().enumerate() {
                let row = at / 32;
                let column = if swizzle == Swizzle::None { at % 32 } else { (at % 32) ^ (row % 8 * 4) };
                let (r, c) = (row as i32 + y, column as i32 + x);
                let inside = (0..rows as i32).contains(&r) && (0..columns as i32).contains(&c);
                let expected = if inside { words[r as usize * columns + c as usize] } else { 0 };
                assert_eq!(word, expected, "{swizzle:?} at ({x}, {y}), word {at}");
            }
        }
    }
}

/// The product of 64 and `n` rows of 16 by plain stores and wgmma, and whether it is right.
fn plain_product(n: usize, options: &Options) -> Verdict {
    let halves: Vec<u16> = (0..(64 + n) * 16).map(|i| bf16(small(i))).collect();
    let input: Vec<u32> =
        halves.chunks(2).map(|pair| u32::from(pair[0]) | u32::from(pair[1]) << 16).collect();
    let mut output = vec![0; 64 * n];
    let name = format!("multiply_plain_{n}");
    let counters = run(&name, &input, &mut output, 128, (64 + n as u32) * 32, options)?;
    for (at, &bits) in output.iter().enumerate() {
        let (i, j) = (at / n, at % n);
        let expected: f32 = (0..16).map(|k| small(i * 16 + k) * small((64 + j) * 16 + k)).sum();
        if f32::from_bits(bits) != expected {
            return Err(format!("row {i}, column {j}: {} for {expected}", f32::from_bits(bits)).into());
        }
    }
    Ok(counters)
}

#[test]
fn warpgroup_products_without_swizzle() {
    for n in [8, 96, 256] {
        for options in Options::suite(2) {
            plain_product(n, &options).unwrap();
        }
    }
}

#[test]
fn ordinary_stores_need_a_proxy_fence() {
    let mutations = survey(&Options::suite(1), |options| plain_product(96, options)).unwrap();
    let instructions: Vec<&str> = mutations.iter().map(|mutation| &*mutation.site.instruction).collect();
    let expected =
        ["fence.proxy.async", "__syncthreads", "wgmma.fence", "wgmma.commit_group", "wgmma.wait_group"];
    assert_eq!(instructions, expected, "in the order of their lines");
    assert!(mutations.iter().all(|mutation| mutation.noticed.is_some()), "{mutations:?}");
}

#[test]
fn tensor_maps_follow_the_driver_s_rules() {
    let map =
        |base, pitch, size, element| TensorMap::new(base, [8, 64], pitch, size, element, Swizzle::Bytes128);
    assert!(map(4096, 128, [8, 64], 2).is_ok());
    for (refused, rule) in [
        (map(4097, 128, [8, 64], 2), "base"),
        (map(4096, 130, [8, 64], 2), "pitch"),
        (map(4096, 64, [8, 64], 2), "overlap"),
        (map(4096, 128, [8, 300], 2), "box sizes"),
        (map(4096, 128, [8, 32], 2), "128 bytes"),
        (map(4096, 384, [8, 64], 3), "elements"),
    ] {
        assert!(refused.unwrap_err().to_string().contains(rule), "{rule}");
    }
}
