// kernels/adapter.cu, a thread an output: grid (ceil(n / 256), rows), 256 threads.
#include "perturbation.h"
#include "product.h"

template <class T> DEVICE void naive_adapter(const AdapterParams& p) {
    const uint32_t column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (column < p.n) {
        const Global<const float> state = global<const float>(p.state.data) + (size_t)row * p.state.pitch;
        const Global<const T> weight = global<const T>(p.weight.data) + (size_t)column * p.weight.pitch;
        float sum = 0.0f;
        for (uint32_t k = 0; k < p.k; k++) {
            const float2 pair = perturb_pair(p.perturbation, row, k & ~1u, make_float2(state[k], state[k]));
            sum = fmaf(naive_rounded<T>(k & 1 ? pair.y : pair.x), naive_widened(weight[k]), sum);
        }
        const float injected = global<const float>(p.injected.data)[(size_t)row * p.injected.pitch + column];
        naive_store(p.out, (size_t)row * p.out.pitch + column, injected + sum);
    }
}

KERNEL(naive_adapter_f32, AdapterParams, 256) { naive_adapter<float>(p); }
KERNEL(naive_adapter_bf16, AdapterParams, 256) { naive_adapter<__nv_bfloat16>(p); }
