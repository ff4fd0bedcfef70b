// Elements of rows of either type, one by one and two neighbours at a time.
#pragma once
#include "kernel.h"
#include "params.h"

// Two elements rounded to bf16, as they lie in memory: the first in the low half.
DEVICE uint32_t bf16_pair(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    uint32_t bits;
    memcpy(&bits, &pair, sizeof(bits));
    return bits;
}

DEVICE void store_one(uint64_t data, uint32_t dtype, size_t at, float v) {
    if (dtype == DTYPE_F32)
        global<float>(data)[at] = v;
    else
        global<__nv_bfloat16>(data)[at] = __float2bfloat16_rn(v);
}

// Elements `at` and at + 1, `at` even.
DEVICE void store_pair(uint64_t data, uint32_t dtype, size_t at, float2 v) {
    if (dtype == DTYPE_F32)
        view<float2>(global<float>(data) + at)[0] = v;
    else
        view<uint32_t>(global<__nv_bfloat16>(data) + at)[0] = bf16_pair(v.x, v.y);
}
