// What a product makes of rows of f32 on their way into shared memory. A transform is a functor
//
//     void operator()(slot, row, column, float (&v)[8])   eight channels of a row, in place
//
// that a thread calls with column rising and always the same row for a `slot` of its own; channels past the width come as
// zeros and what becomes of them is dropped. One with SCALES leaves a factor a row, `factors`, for the sums.
#pragma once
#include "epilogue.h"

// Column i of the product is row i of the weight.
struct InOrder {
    DEVICE uint32_t operator()(uint32_t column) const { return column; }
};

constexpr uint32_t CHUNK = 8, DEPTH = 64, CHUNKS = DEPTH / CHUNK;

// A thread's share of a tile of ROWS rows and DEPTH columns: a chunk of eight columns of every (THREADS / 8)th row. The
// chunks of a row are eight neighbouring lanes'.
template <uint32_t ROWS, uint32_t THREADS> struct Share {
    static_assert(ROWS * CHUNKS % THREADS == 0 && THREADS % CHUNKS == 0, "whole chunks, and one column a thread");
    static constexpr uint32_t SLOTS = ROWS * CHUNKS / THREADS;
    DEVICE static uint32_t row(uint32_t slot) { return slot * (THREADS / CHUNKS) + threadIdx.x / CHUNKS; }
    DEVICE static uint32_t chunk() { return threadIdx.x % CHUNKS; }
};

// Zeroes what lies at `k` and beyond of the channels from `column` on.
DEVICE void mask_tail(float (&v)[CHUNK], uint32_t column, uint32_t k) {
#pragma unroll
    for (uint32_t i = 0; i < CHUNK; i++) v[i] = column + i < k ? v[i] : 0.0f;
}

DEVICE void load_chunk(float (&v)[CHUNK], Global<const float> from) {
#pragma unroll
    for (uint32_t i = 0; i < CHUNK; i += 4) {
        const float4 four = view<const float4>(from + i)[0];
        v[i] = four.x, v[i + 1] = four.y, v[i + 2] = four.z, v[i + 3] = four.w;
    }
}

// Rows as they are.
struct Unchanged {
    static constexpr bool SCALES = false;
    DEVICE void operator()(uint32_t, uint32_t, uint32_t, float (&)[CHUNK]) const {}
    DEVICE void factors(Shared<float>) const {}
};

struct Perturbed {
    static constexpr bool SCALES = false;
    const Perturbation& p;
    DEVICE void operator()(uint32_t, uint32_t row, uint32_t column, float (&v)[CHUNK]) const {
#pragma unroll
        for (uint32_t i = 0; i < CHUNK; i += 4) {
            const float4 q = perturb_quad(p, row, column + i, make_float4(v[i], v[i + 1], v[i + 2], v[i + 3]));
            v[i] = q.x, v[i + 1] = q.y, v[i + 2] = q.z, v[i + 3] = q.w;
        }
    }
    DEVICE void factors(Shared<float>) const {}
};

// RMSNorm in one pass: channels times the norm's weight go in, and 1/sqrt(mean(x^2) + eps) multiplies the sums. The
// squares are summed by column mod 64 / 8, then over these eight: an order that no form of the product changes.
template <uint32_t ROWS, uint32_t THREADS> struct RootMeanSquare {
    using Mine = Share<ROWS, THREADS>;
    static constexpr bool SCALES = true;
    const Global<const float> weight;
    const float k, eps;
    float squares[Mine::SLOTS];

    DEVICE RootMeanSquare(uint64_t weight, uint32_t k, float eps)
        : weight(global<const float>(weight)), k((float)k), eps(eps) {
#pragma unroll
        for (uint32_t slot = 0; slot < Mine::SLOTS; slot++) squares[slot] = 0.0f;
    }
    DEVICE void operator()(uint32_t slot, uint32_t, uint32_t column, float (&v)[CHUNK]) {
        float w[CHUNK];
        load_chunk(w, weight + column);
#pragma unroll
        for (uint32_t i = 0; i < CHUNK; i++) {
            squares[slot] = __fmaf_rn(v[i], v[i], squares[slot]);
            v[i] = __fmul_rn(v[i], w[i]);
        }
    }
    DEVICE void factors(Shared<float> to) const {
#pragma unroll
        for (uint32_t slot = 0; slot < Mine::SLOTS; slot++) {
            float sum = squares[slot];
#pragma unroll
            for (int apart = 1; apart < (int)CHUNKS; apart *= 2) sum = __fadd_rn(sum, __shfl_xor_sync(FULL_WARP, sum, apart));
            const float mean = __fdiv_rn(sum, k);
            if (Mine::chunk() == 0) to[Mine::row(slot)] = __frcp_rn(__fsqrt_rn(__fadd_rn(mean, eps)));
        }
    }
};
