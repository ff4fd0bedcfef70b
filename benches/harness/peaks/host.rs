//! What one core can do, measured by loops that do nothing else.

use std::{hint::black_box, time::Instant};

use super::Peaks;

/// Elements that are copied: 256 MB read and as many written, beyond any cache.
const COPIED: usize = 64 << 20;

/// Steps of a register-only loop: some milliseconds.
const STEPS: usize = 1 << 20;

/// Runs of a loop, of which the fastest counts: a peak is what is possible.
const RUNS: usize = 9;

/// Sums that a loop carries, more than enough to hide the latency of a multiply-add.
const CHAINS: usize = 16;

pub(super) fn measure() -> Peaks {
    let f32 = fused();
    Peaks { f32, bf16: dots().unwrap_or(f32), copy: copy() }
}

/// Work a second, where `run` does `amount` at a time.
fn fastest(amount: usize, mut run: impl FnMut()) -> f64 {
    let mut seconds = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run();
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    amount as f64 / seconds
}

fn copy() -> f64 {
    let source = vec![1.0f32; COPIED];
    let mut target = vec![0.0f32; COPIED];
    fastest(2 * 4 * COPIED, || black_box(&mut target[..]).copy_from_slice(black_box(&source)))
}

/// f32 multiply-adds, two operations each.
fn fused() -> f64 {
    let flop = |lanes: usize| 2 * lanes * CHAINS * STEPS;
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: just detected.
            return fastest(flop(16), || unsafe { x86::fused_512(black_box(0.5)) });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: just detected.
            return fastest(flop(8), || unsafe { x86::fused_256(black_box(0.5)) });
        }
    }
    fastest(flop(4), || portable(black_box(0.5)))
}

/// Dot products of bf16 pairs, four operations a lane.
fn dots() -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16") {
        // SAFETY: just detected.
        return Some(fastest(4 * 16 * CHAINS * STEPS, || unsafe { x86::dots_512(black_box(0.5)) }));
    }
    None
}

/// Four lanes of the baseline; a multiply-add is one instruction where the baseline has it.
fn portable(x: f32) {
    let mut sums = [[0.0f32; 4]; CHAINS];
    for _ in 0..STEPS {
        for sum in sums.as_flattened_mut() {
            *sum = if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                x.mul_add(x, *sum)
            } else {
                x * x + *sum
            };
        }
        sums = black_box(sums);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::{arch::x86_64::*, hint::black_box};

    use super::{CHAINS, STEPS};

    #[target_feature(enable = "avx512f")]
    pub(super) fn fused_512(x: f32) {
        let x = _mm512_set1_ps(x);
        let mut sums = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(x, x, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn fused_256(x: f32) {
        let x = _mm256_set1_ps(x);
        // Twelve sums and x stay in the sixteen registers.
        let mut sums = [_mm256_setzero_ps(); CHAINS * 3 / 4];
        for _ in 0..STEPS * 4 / 3 {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(x, x, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn dots_512(x: f32) {
        let x = _mm512_set1_ps(x);
        let x = _mm512_cvtne2ps_pbh(x, x);
        let mut sums = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, x, x);
            }
        }
        black_box(sums);
    }
}
