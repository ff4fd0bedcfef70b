// What the naive products share.
#pragma once
#include "kernel.h"
#include "params.h"

DEVICE float naive_widened(float v) { return v; }
DEVICE float naive_widened(__nv_bfloat16 v) { return __bfloat162float(v); }
template <class T> DEVICE float naive_rounded(float v);
template <> DEVICE float naive_rounded<float>(float v) { return v; }
template <> DEVICE float naive_rounded<__nv_bfloat16>(float v) { return __bfloat162float(__float2bfloat16_rn(v)); }

// Element (row, column) of x W.
template <class T>
DEVICE float naive_product(const Rows& x, uint32_t row, const Rows& weight, uint32_t column, uint32_t k) {
    const Global<const T> a = global<const T>(x.data) + (size_t)row * x.pitch;
    const Global<const T> b = global<const T>(weight.data) + (size_t)column * weight.pitch;
    float sum = 0.0f;
    for (uint32_t i = 0; i < k; i++) sum = fmaf(naive_widened(a[i]), naive_widened(b[i]), sum);
    return sum;
}

DEVICE void naive_store(const Rows& out, size_t at, float v) {
    if (out.dtype == DTYPE_F32)
        global<float>(out.data)[at] = v;
    else
        global<__nv_bfloat16>(out.data)[at] = __float2bfloat16_rn(v);
}
