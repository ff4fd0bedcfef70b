//! Activations of the MLPs: plain operations, so that loops over them become whole vectors.

use rayon::prelude::*;

use super::simd::widest;
use crate::ops::activation::Activation;

/// Elements of the result that a task computes.
const CHUNK: usize = 4096;

/// out = f(x), element by element, or for SwiGLU pair by pair.
pub(crate) fn activation(kind: Activation, x: &[f32], out: &mut [f32]) {
    let wide = kind.inputs();
    let chunks = out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK * wide));
    chunks.for_each(|(out, x)| match kind {
        Activation::GeluTanh => each_gelu_tanh(x, out),
        Activation::GeluErf => out.iter_mut().zip(x).for_each(|(out, &x)| *out = gelu_erf(x)),
        Activation::SwiGlu => each_swiglu(x, out),
    });
}

/// dx = f'(x)·dy.
pub(crate) fn activation_backward(kind: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let wide = kind.inputs();
    let chunks = dx.par_chunks_mut(CHUNK * wide).zip(x.par_chunks(CHUNK * wide)).zip(dy.par_chunks(CHUNK));
    chunks.for_each(|((dx, x), dy)| activation_backward_row(kind, x, dy, dx));
}

/// As [`activation_backward`], on the calling thread.
pub(crate) fn activation_backward_row(kind: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    match kind {
        Activation::GeluTanh => each_gelu_tanh_backward(x, dy, dx),
        Activation::GeluErf => each_gelu_erf_backward(x, dy, dx),
        Activation::SwiGlu => each_swiglu_backward(x, dy, dx),
    }
}

widest! {
    fn each_gelu_tanh(x: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(x).for_each(|(out, &x)| *out = gelu_tanh(x));
    }
}

widest! {
    fn each_swiglu(x: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(x.as_chunks().0).for_each(|(out, &pair)| *out = swiglu(pair));
    }
}

widest! {
    fn each_gelu_tanh_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        dx.iter_mut().zip(x).zip(dy).for_each(|((dx, &x), dy)| *dx = dy * gelu_tanh_slope(x));
    }
}

widest! {
    fn each_gelu_erf_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        dx.iter_mut().zip(x).zip(dy).for_each(|((dx, &x), dy)| *dx = dy * gelu_erf_slope(x));
    }
}

widest! {
    fn each_swiglu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
        let pairs = dx.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0);
        pairs.zip(dy).for_each(|((dx, &pair), &dy)| *dx = swiglu_slopes(pair).map(|slope| dy * slope));
    }
}

/// −2·√(2/π)
const FACTOR: f32 = -2.0 * 0.797_884_6;

/// GELU with tanh. Since ½(1 + tanh u) = 1/(1 + e^(−2u)), it takes one exponential and cancels nowhere.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    let u = x + 0.044_715 * (x * x * x);
    x / (1.0 + exp(FACTOR * u))
}

/// The derivative of [`gelu_tanh`]: s + x·s·(1 − s)·2u' with s = 1/(1 + e^(−2u)).
#[inline(always)]
pub(crate) fn gelu_tanh_slope(x: f32) -> f32 {
    let u = x + 0.044_715 * (x * x * x);
    let (s, rest) = sigmoid(exp(FACTOR * u));
    let turn = -FACTOR * (1.0 + 3.0 * 0.044_715 * (x * x));
    // Where s is 0 so is the slope, however fast u moves.
    if s == 0.0 { 0.0 } else { s + x * s * rest * turn }
}

/// s = 1/(1 + e) and 1 − s = e·s, neither of which cancels; e is positive, infinite where s is 0.
#[inline(always)]
fn sigmoid(e: f32) -> (f32, f32) {
    let s = 1.0 / (1.0 + e);
    (s, if e == f32::INFINITY { 1.0 } else { e * s })
}

/// The derivative of [`gelu_erf`]: Φ(x) + x·φ(x) of the normal distribution.
#[inline(always)]
fn gelu_erf_slope(x: f32) -> f32 {
    /// 1/√(2π)
    const DENSITY: f32 = 0.398_942_3;
    let below = 0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2));
    below + x * (DENSITY * exp(-0.5 * (x * x)))
}

/// GELU with the error function.
pub(crate) fn gelu_erf(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// silu(gate)·up, where x·silu is x/(1 + e^(−x)).
#[inline(always)]
pub(crate) fn swiglu([gate, up]: [f32; 2]) -> f32 {
    gate / (1.0 + exp(-gate)) * up
}

/// The derivatives of [`swiglu`] by gate and up: up·s·(1 + gate·(1 − s)) and gate·s with s = 1/(1 + e^(−gate)).
#[inline(always)]
pub(crate) fn swiglu_slopes([gate, up]: [f32; 2]) -> [f32; 2] {
    let (s, rest) = sigmoid(exp(-gate));
    [up * (s * (1.0 + gate * rest)), gate * s]
}

/// eˣ within one unit in the last place: 2^n·e^r with n = round(x/ln 2), ln 2 in two parts, and Sleef's polynomial of
/// e^r (Shibata and Petrogalli, arXiv 2001.09258). PyTorch's vectors evaluate the same, and plain operations alone
/// let it run on whole vectors.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    /// 1.5·2²³: a sum with it is rounded to a whole number, which its low bits hold.
    const ROUND: f32 = 12_582_912.0;
    // Beyond these the result is 0 or infinite in f32 whatever the rest says.
    let x = x.clamp(-104.0, 104.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut sum = 0.000_198_527_62;
    for coefficient in [0.001_393_043_6, 0.008_333_361, 0.041_666_485, 0.166_666_67, 0.5] {
        sum = r.mul_add(sum, coefficient);
    }
    let sum = 1.0 + (r * r).mul_add(sum, r);
    // Two factors, as n reaches below the smallest normal exponent and above the largest.
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1;
    sum * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// 2ⁿ for −126 ≤ n ≤ 127.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against float64, over the range that f32 can hold and its ends.
    #[test]
    fn exp_is_within_an_ulp() {
        for i in -104_000..=88_700 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            // An ulp is at most 2⁻²³ of the value, or 2⁻¹⁴⁹ below the normal range.
            let allowed = exact * f64::from(f32::EPSILON) + f64::from(f32::from_bits(1));
            assert!((f64::from(exp(x)) - exact).abs() <= allowed, "{x}: {} {exact}", exp(x));
        }
        assert_eq!((exp(f32::NEG_INFINITY), exp(f32::INFINITY), exp(0.0)), (0.0, f32::INFINITY, 1.0));
        assert!(exp(f32::NAN).is_nan());
    }
}
