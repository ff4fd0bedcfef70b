// Activations of the MLPs, the operations of src/cpu/activation.rs one for one, so that their bits agree.
#pragma once
#include "kernel.h"

// 2^n for -126 <= n <= 127.
DEVICE float power_of_two(int n) { return __uint_as_float((uint32_t)(n + 127) << 23); }

// e^x within one unit in the last place: 2^n e^r with n = round(x / ln 2), ln 2 in two parts, and Sleef's polynomial of
// e^r (Shibata and Petrogalli, arXiv 2001.09258).
DEVICE float exponential(float x) {
    constexpr float ROUND = 12582912.0f;  // 1.5 * 2^23: a sum with it is rounded to a whole number in its low bits
    x = fminf(fmaxf(x, -104.0f), 104.0f);  // beyond these the result is 0 or infinite
    const float rounded = __fadd_rn(__fmul_rn(x, 1.44269504088896341f), ROUND), n = __fsub_rn(rounded, ROUND);
    const float r = __fmaf_rn(n, -1.4286068e-6f, __fmaf_rn(n, -0.69314575f, x));
    float sum = 0.00019852762f;
    sum = __fmaf_rn(r, sum, 0.0013930436f);
    sum = __fmaf_rn(r, sum, 0.008333361f);
    sum = __fmaf_rn(r, sum, 0.041666485f);
    sum = __fmaf_rn(r, sum, 0.16666667f);
    sum = __fmaf_rn(r, sum, 0.5f);
    sum = __fadd_rn(1.0f, __fmaf_rn(__fmul_rn(r, r), sum, r));
    // Two factors, as n reaches below the smallest normal exponent and above the largest.
    const int whole = (int)(__float_as_uint(rounded) - __float_as_uint(ROUND)), half = whole >> 1;
    return __fmul_rn(__fmul_rn(sum, power_of_two(half)), power_of_two(whole - half));
}

// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) as x / (1 + e^(-2 ...)).
DEVICE float gelu_tanh(float x) {
    constexpr float FACTOR = -2.0f * 0.7978846f;
    const float u = __fadd_rn(x, __fmul_rn(0.044715f, __fmul_rn(__fmul_rn(x, x), x)));
    return __fdiv_rn(x, __fadd_rn(1.0f, exponential(__fmul_rn(FACTOR, u))));
}

// x/2 (1 + erf(x / sqrt(2))).
DEVICE float gelu_erf(float x) {
    return __fmul_rn(__fmul_rn(0.5f, x), __fadd_rn(1.0f, erff(__fmul_rn(x, 0.70710678118654752f))));
}

// silu(gate) * up.
DEVICE float swiglu(float gate, float up) {
    return __fmul_rn(__fdiv_rn(gate, __fadd_rn(1.0f, exponential(-gate))), up);
}

// s = 1 / (1 + e) and 1 - s = e s, neither of which cancels; e is positive, infinite where s is 0.
DEVICE float2 sigmoid(float e) {
    const float s = __fdiv_rn(1.0f, __fadd_rn(1.0f, e));
    return make_float2(s, isinf(e) ? 1.0f : __fmul_rn(e, s));
}

// The derivative of gelu_tanh: s + x s (1 - s) 2u' with s = 1 / (1 + e^(-2u)); where s is 0 so is the slope.
DEVICE float gelu_tanh_slope(float x) {
    constexpr float FACTOR = -2.0f * 0.7978846f;
    const float square = __fmul_rn(x, x), u = __fadd_rn(x, __fmul_rn(0.044715f, __fmul_rn(square, x)));
    const float2 s = sigmoid(exponential(__fmul_rn(FACTOR, u)));
    const float turn = __fmul_rn(-FACTOR, __fadd_rn(1.0f, __fmul_rn(3.0f * 0.044715f, square)));
    return s.x == 0.0f ? 0.0f : __fadd_rn(s.x, __fmul_rn(__fmul_rn(__fmul_rn(x, s.x), s.y), turn));
}

// The derivative of gelu_erf: the normal distribution's function and x times its density.
DEVICE float gelu_erf_slope(float x) {
    constexpr float DENSITY = 0.3989423f;  // 1 / sqrt(2 pi)
    const float below = __fmul_rn(0.5f, __fadd_rn(1.0f, erff(__fmul_rn(x, 0.70710678118654752f))));
    const float density = __fmul_rn(DENSITY, exponential(__fmul_rn(-0.5f, __fmul_rn(x, x))));
    return __fadd_rn(below, __fmul_rn(x, density));
}

// The derivatives of swiglu by gate and up: up s (1 + gate (1 - s)) and gate s with s = 1 / (1 + e^(-gate)).
DEVICE float2 swiglu_slopes(float gate, float up) {
    const float2 s = sigmoid(exponential(-gate));
    return make_float2(__fmul_rn(up, __fmul_rn(s.x, __fadd_rn(1.0f, __fmul_rn(gate, s.y)))), __fmul_rn(gate, s.x));
}
