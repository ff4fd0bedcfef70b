// kernels/weight.cu, a thread an element of the weight's row: grid (ceil(pitch / 256), n), 256 threads.
#include "kernel.h"
#include "params.h"

DEVICE void naive_weight(const WeightParams& p, uint32_t along, uint32_t across) {
    const uint32_t k = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.y;
    if (k >= p.out.pitch) return;
    const size_t at = (size_t)k * along + (size_t)n * across;
    global<float>(p.out.data)[(size_t)n * p.out.pitch + k] = k < p.k ? global<const float>(p.from.data)[at] : 0.0f;
}

KERNEL(naive_weight_of_columns, WeightParams, 256) { naive_weight(p, 1, p.from.pitch); }
KERNEL(naive_weight_of_rows, WeightParams, 256) { naive_weight(p, p.from.pitch, 1); }
