// Counter-based randomness, bit for bit that of src/random: Philox4x32-10 (Salmon et al., SC 2011) and normals by
// Box-Muller. Every rounding is spelled out, so that no compiler contracts or reorders it.
#pragma once
#include "kernel.h"

// Ten rounds on a 128-bit counter under a 64-bit key, whose low half is the first key word.
DEVICE uint4 philox4x32(uint4 c, uint64_t key) {
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c.x, p1 = (uint64_t)0xCD9E8D57u * c.z;
        c = make_uint4((uint32_t)(p1 >> 32) ^ c.y ^ k0, (uint32_t)p1, (uint32_t)(p0 >> 32) ^ c.w ^ k1, (uint32_t)p0);
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return c;
}

// ln((a + 1/2) 2^-32), the argument rounded to f32. The polynomials are those of the Cephes library (S. L. Moshier).
DEVICE float ln_unit(uint32_t a) {
    constexpr float TWO_POW_NEG_32 = 1.0f / 4294967296.0f;
    const float u = __fmaf_rn(__uint2float_rn(a), TWO_POW_NEG_32, 0.5f * TWO_POW_NEG_32);
    // u = m 2^e with m in [sqrt(1/2), sqrt(2)).
    const int offset = (int)(__float_as_uint(u) - 0x3F3504F3u) >> 23;
    const float m = __uint_as_float(__float_as_uint(u) - ((uint32_t)offset << 23));
    const float f = __fsub_rn(m, 1.0f), e = __int2float_rn(offset), square = __fmul_rn(f, f);
    float poly = 7.0376836e-2f;
    poly = __fmaf_rn(poly, f, -1.151461e-1f);
    poly = __fmaf_rn(poly, f, 1.1676999e-1f);
    poly = __fmaf_rn(poly, f, -1.2420141e-1f);
    poly = __fmaf_rn(poly, f, 1.4249323e-1f);
    poly = __fmaf_rn(poly, f, -1.6668057e-1f);
    poly = __fmaf_rn(poly, f, 2.0000714e-1f);
    poly = __fmaf_rn(poly, f, -2.4999994e-1f);
    poly = __fmaf_rn(poly, f, 3.333333e-1f);
    const float tail = __fmaf_rn(-0.5f, square, __fmul_rn(__fmul_rn(poly, f), square));
    return __fmaf_rn(e, 0.693147180559945309f, __fadd_rn(f, tail));
}

// (cos, sin) of 2 pi b 2^-32; the angle is reduced to a quarter turn in integers.
DEVICE float2 cos_sin_turn(uint32_t b) {
    constexpr float RADIANS = (float)(6.28318530717958647692528676655900577 / 4294967296.0);
    const uint32_t quarter = (b + (1u << 29)) >> 30;
    const float x = __fmul_rn(__int2float_rn((int)(b - (quarter << 30))), RADIANS), z = __fmul_rn(x, x);
    float sin = __fmaf_rn(-1.9515296e-4f, z, 8.332161e-3f);
    sin = __fmaf_rn(sin, z, -1.6666655e-1f);
    sin = __fmaf_rn(__fmul_rn(sin, z), x, x);
    float cos = __fmaf_rn(2.4433157e-5f, z, -1.3887316e-3f);
    cos = __fmaf_rn(cos, z, 4.1666646e-2f);
    cos = __fmaf_rn(__fmul_rn(cos, z), z, __fmaf_rn(-0.5f, z, 1.0f));
    const float s = quarter & 1 ? cos : sin, c = quarter & 1 ? sin : cos;
    return make_float2(__uint_as_float(__float_as_uint(c) ^ ((quarter >> 1 ^ quarter) & 1) << 31),
                       __uint_as_float(__float_as_uint(s) ^ (quarter >> 1 & 1) << 31));
}

// Two independent standard normals from two words.
DEVICE float2 normals(uint32_t a, uint32_t b) {
    const float radius = __fsqrt_rn(__fmul_rn(-2.0f, ln_unit(a)));
    const float2 turn = cos_sin_turn(b);
    return make_float2(__fmul_rn(radius, turn.x), __fmul_rn(radius, turn.y));
}
