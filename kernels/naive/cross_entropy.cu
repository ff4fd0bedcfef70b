// kernels/cross_entropy.cu, a thread a row: grid (ceil(rows / 64)), 64 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_cross_entropy, CrossEntropyParams, 64) {
    const uint32_t row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= p.rows) return;
    const Global<float> x = global<float>(p.logits.data) + (size_t)row * p.logits.pitch;
    const uint32_t target = global<const uint32_t>(p.targets)[row];
    float largest = -INFINITY, sum = 0.0f;
    for (uint32_t i = 0; i < p.width; i++) largest = fmaxf(largest, x[i]);
    for (uint32_t i = 0; i < p.width; i++) sum += expf(x[i] - largest);
    const bool counts = target != NO_TARGET;
    global<float>(p.losses)[row] = counts ? logf(sum) - (x[target] - largest) : 0.0f;
    for (uint32_t i = 0; i < p.width; i++)
        x[i] = counts ? p.scale * (expf(x[i] - largest) / sum - (i == target ? 1.0f : 0.0f)) : 0.0f;
}
