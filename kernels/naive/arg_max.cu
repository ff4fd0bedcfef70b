// kernels/arg_max.cu, a thread an output: grid ceil(rows / 256), 256 threads. Partials are not looked at.
#include "product.h"

template <class T> DEVICE void naive_arg_max(const ArgMaxParams& p) {
    const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row < p.rows) {
        float largest = -INFINITY;
        uint32_t best = 0;
        bool found = false;
        for (uint32_t column = 0; column < p.n; column++) {
            const float logit = naive_product<T>(p.x, row, p.weight, column, p.k);
            if (logit > largest || (!found && logit == largest)) largest = logit, best = column, found = true;
        }
        global<uint32_t>(p.out)[row] = best;
    }
}

KERNEL(naive_arg_max_f32, ArgMaxParams, 256) { naive_arg_max<float>(p); }
KERNEL(naive_arg_max_bf16, ArgMaxParams, 256) { naive_arg_max<__nv_bfloat16>(p); }
