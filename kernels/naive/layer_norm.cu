// kernels/layer_norm.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_layer_norm, NormParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
    float mean = 0.0f, variance = 0.0f;
    for (uint32_t i = 0; i < p.width; i++) mean += x[i];
    mean /= p.width;
    for (uint32_t i = 0; i < p.width; i++) variance += (x[i] - mean) * (x[i] - mean);
    variance /= p.width;
    const float w = global<const float>(p.weight)[channel], b = global<const float>(p.bias)[channel];
    const float y = (x[channel] - mean) / sqrtf(variance + p.eps) * w + b;
    const size_t at = (size_t)row * p.out.pitch + channel;
    if (p.out.dtype == DTYPE_F32)
        global<float>(p.out.data)[at] = y;
    else
        global<__nv_bfloat16>(p.out.data)[at] = __float2bfloat16_rn(y);
}
