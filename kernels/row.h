// Rows of f32 channels, one to a block: each thread takes vectors of four channels, blockDim.x vectors apart, and sums
// go over threads, then lanes, then warps. The order of a sum follows from the width and the number of threads, which
// the launch derives from the width.
#pragma once
#include "pair.h"

template <class T> DEVICE Global<T> row_of(const Rows& rows, size_t index) {
    return global<T>(rows.data) + index * rows.pitch;
}

// 16 bytes at once.
struct alignas(16) Four {
    float of[4];
};

// For each of this thread's vectors use(channel, count, load(channel, count)): count is 4, then for one thread width % 4
// if that is not 0. Four loads are under way before the first is used.
template <class Load, class Use> DEVICE void each_four(uint32_t width, Load load, Use use) {
    using Loaded = decltype(load(0u, 0u));
    const uint32_t whole = width / 4;
    for (uint32_t first = threadIdx.x; first < whole; first += 4 * blockDim.x) {
        Loaded loaded[4];
#pragma unroll
        for (uint32_t i = 0; i < 4; i++)
            if (first + i * blockDim.x < whole) loaded[i] = load(4 * (first + i * blockDim.x), 4u);
#pragma unroll
        for (uint32_t i = 0; i < 4; i++)
            if (first + i * blockDim.x < whole) use(4 * (first + i * blockDim.x), 4u, loaded[i]);
    }
    if (width % 4 && whole % blockDim.x == threadIdx.x) use(4 * whole, width % 4, load(4 * whole, width % 4));
}

// `count` values, then zeros.
DEVICE Four load_four(Global<const float> from, uint32_t count) {
    if (count == 4) return view<const Four>(from)[0];
    Four v = {};
#pragma unroll
    for (uint32_t i = 0; i < 3; i++)
        if (i < count) v.of[i] = from[i];
    return v;
}

DEVICE void store_four(Global<float> to, const Four& v, uint32_t count) {
    if (count == 4) {
        view<Four>(to)[0] = v;
        return;
    }
#pragma unroll
    for (uint32_t i = 0; i < 3; i++)
        if (i < count) to[i] = v.of[i];
}

DEVICE Four load_four(Global<const __nv_bfloat16> from, uint32_t count) {
    Four v = {};
    if (count == 4) {
        const uint2 pairs = view<const uint2>(from)[0];
        return {{__uint_as_float(pairs.x << 16), __uint_as_float(pairs.x & 0xffff0000u),
                 __uint_as_float(pairs.y << 16), __uint_as_float(pairs.y & 0xffff0000u)}};
    }
#pragma unroll
    for (uint32_t i = 0; i < 3; i++)
        if (i < count) v.of[i] = __bfloat162float(from[i]);
    return v;
}

// To row `index` of rows of either type: 16 bytes of f32 or 8 of bf16, side by side in a warp.
DEVICE void store_four(const Rows& rows, size_t index, uint32_t channel, const Four& v, uint32_t count) {
    if (rows.dtype == DTYPE_F32) return store_four(row_of<float>(rows, index) + channel, v, count);
    const Global<__nv_bfloat16> to = row_of<__nv_bfloat16>(rows, index) + channel;
    if (count == 4) {
        view<uint2>(to)[0] = make_uint2(bf16_pair(v.of[0], v.of[1]), bf16_pair(v.of[2], v.of[3]));
        return;
    }
#pragma unroll
    for (uint32_t i = 0; i < 3; i++)
        if (i < count) to[i] = __float2bfloat16_rn(v.of[i]);
}

// Words of shared memory that a fold over the block takes, one a warp; none is used twice in a launch, so that nothing
// waits for its last reader.
constexpr uint32_t FOLD_SLOTS = 32;

template <class T, class Fold> DEVICE T fold_warp(T v, Fold fold) {
#pragma unroll
    for (int apart = 16; apart > 0; apart /= 2) v = fold(v, __shfl_xor_sync(FULL_WARP, v, apart));
    return v;
}

// Folds the values of all threads, for all of them.
template <class T, class Fold> DEVICE T fold_block(T v, T neutral, Shared<T> slots, Fold fold) {
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    v = fold_warp(v, fold);
    if (lane == 0) slots[warp] = v;
    __syncthreads();
    return fold_warp(lane < blockDim.x / 32 ? slots[lane] : neutral, fold);
}
template <class T> DEVICE T block_sum(T v, Shared<T> slots) {
    return fold_block(v, (T)0, slots, [](T a, T b) { return a + b; });
}
DEVICE float block_max(float v, Shared<float> slots) {
    return fold_block(v, -INFINITY, slots, [](float a, float b) { return fmaxf(a, b); });
}
