// Perturbations, applied by the kernel that produces the values (src/perturb.rs): every channel's draw is a function of
// the row's coordinates, the site and the channel (src/random/mod.rs). A call handles neighbouring channels, whose words
// come from one Philox counter. One exit a function: on early returns nvcc 13.0 (cicc) runs without end.
#pragma once
#include "params.h"
#include "philox.h"

// The words for channels column ... column + 3 of a row; column a multiple of 4.
DEVICE uint4 perturbation_words(const Perturbation& p, uint32_t row, uint32_t column) {
    const RowCoordinates at = global<const RowCoordinates>(p.rows)[row];
    return philox4x32(make_uint4(column / 4 | p.site << 20, at.position, at.iteration, at.trajectory), at.key);
}

// The element where its word is below the threshold, scaled; else zero.
DEVICE float drop_out(const Perturbation& p, uint32_t word, float v) {
    return word < p.threshold ? __fmul_rn(v, p.factor) : 0.0f;
}

// Channels column and column + 1, column even. A recorded value beyond the width is unspecified, and so is the result.
DEVICE float2 perturb_pair(const Perturbation& p, uint32_t row, uint32_t column, float2 v) {
    if (p.kind == PERTURB_DROPOUT || p.kind == PERTURB_NOISE) {
        const uint4 words = perturbation_words(p, row, column & ~3u);
        const uint32_t a = column & 2 ? words.z : words.x, b = column & 2 ? words.w : words.y;
        if (p.kind == PERTURB_DROPOUT) {
            v = make_float2(drop_out(p, a, v.x), drop_out(p, b, v.y));
        } else {
            const float2 normal = normals(a, b);
            v = make_float2(__fmaf_rn(p.factor, normal.x, v.x), __fmaf_rn(p.factor, normal.y, v.y));
        }
    } else if (p.kind != PERTURB_NONE) {
        const size_t at = (size_t)row * p.pitch + column;
        const float2 r = view<const float2>(global<const float>(p.rows) + at)[0];
        if (p.kind == PERTURB_SCALE)
            v = make_float2(__fmul_rn(v.x, r.x), __fmul_rn(v.y, r.y));
        else
            v = make_float2(__fadd_rn(v.x, r.x), __fadd_rn(v.y, r.y));
    }
    return v;
}

// Channels column ... column + 3, column a multiple of 4: one counter's words serve all four.
DEVICE float4 perturb_quad(const Perturbation& p, uint32_t row, uint32_t column, float4 v) {
    if (p.kind == PERTURB_DROPOUT || p.kind == PERTURB_NOISE) {
        const uint4 words = perturbation_words(p, row, column);
        if (p.kind == PERTURB_DROPOUT) {
            v = make_float4(drop_out(p, words.x, v.x), drop_out(p, words.y, v.y), drop_out(p, words.z, v.z),
                            drop_out(p, words.w, v.w));
        } else {
            const float2 low = normals(words.x, words.y), high = normals(words.z, words.w);
            v = make_float4(__fmaf_rn(p.factor, low.x, v.x), __fmaf_rn(p.factor, low.y, v.y),
                            __fmaf_rn(p.factor, high.x, v.z), __fmaf_rn(p.factor, high.y, v.w));
        }
    } else if (p.kind != PERTURB_NONE) {
        const size_t at = (size_t)row * p.pitch + column;
        const float4 r = view<const float4>(global<const float>(p.rows) + at)[0];
        if (p.kind == PERTURB_SCALE)
            v = make_float4(__fmul_rn(v.x, r.x), __fmul_rn(v.y, r.y), __fmul_rn(v.z, r.z), __fmul_rn(v.w, r.w));
        else
            v = make_float4(__fadd_rn(v.x, r.x), __fadd_rn(v.y, r.y), __fadd_rn(v.z, r.z), __fadd_rn(v.w, r.w));
    }
    return v;
}
