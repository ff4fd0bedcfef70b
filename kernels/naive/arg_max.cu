// kernels/arg_max.cu, a thread an output: grid ceil(rows / 256), 256 threads. Partials are not looked at.
#include "kernel.h"
#include "params.h"

DEVICE float widened(float v) { return v; }
DEVICE float widened(__nv_bfloat16 v) { return __bfloat162float(v); }

template <class T> DEVICE void naive_arg_max(const ArgMaxParams& p) {
    const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= p.rows) return;
    const Global<const T> x = global<const T>(p.x.data) + (size_t)row * p.x.pitch;
    float largest = -INFINITY;
    uint32_t best = 0;
    bool none = true;
    for (uint32_t column = 0; column < p.n; column++) {
        const Global<const T> weight = global<const T>(p.weight.data) + (size_t)column * p.weight.pitch;
        float sum = 0.0f;
        for (uint32_t k = 0; k < p.k; k++) sum = fmaf(widened(x[k]), widened(weight[k]), sum);
        if (sum > largest || (none && sum == largest)) largest = sum, best = column, none = false;
    }
    global<uint32_t>(p.out)[row] = best;
}

KERNEL(naive_arg_max_f32, ArgMaxParams, 256) { naive_arg_max<float>(p); }
KERNEL(naive_arg_max_bf16, ArgMaxParams, 256) { naive_arg_max<__nv_bfloat16>(p); }
