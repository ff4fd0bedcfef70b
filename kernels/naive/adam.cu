// AdamW, and the last launch of ELLISAdam, of kernels/adam.cu, a thread an element: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

DEVICE float& naive_element(const Rows& rows, uint32_t row, uint32_t channel) {
    return global<float>(rows.data)[(size_t)row * rows.pitch + channel];
}

KERNEL(naive_adamw, AdamParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    float &x = naive_element(p.parameter, row, channel), &m = naive_element(p.first, row, channel);
    float& v = naive_element(p.second, row, channel);
    const float g = p.factor * naive_element(p.gradient, row, channel);
    m += p.first_share * (g - m);
    v += p.second_share * (g * g - v);
    x = p.kept * x - p.step * (m / (sqrtf(v) / p.root + p.eps));
}

KERNEL(naive_ellis_adam, AdamParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    float& x = naive_element(p.parameter, row, channel);
    const double ratio = sqrt(global<const double>(p.total)[0] / ((double)p.rows * p.width));
    const float angle =
        atan2f(naive_element(p.first, row, channel), sqrtf(naive_element(p.second, row, channel)) / p.root);
    x = p.kept * x - (float)(p.step / fmax(1.0, ratio)) * angle;
}
