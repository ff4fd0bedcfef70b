// kernels/elementwise.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_scale_rows, ElementwiseParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel < p.width) global<float>(p.x.data)[(size_t)row * p.x.pitch + channel] *= p.factor;
}

KERNEL(naive_add_rows, ElementwiseParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const float y = global<const float>(p.y.data)[(size_t)row * p.y.pitch + channel];
    global<float>(p.x.data)[(size_t)row * p.x.pitch + channel] += y;
}
