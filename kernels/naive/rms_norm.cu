// kernels/rms_norm.cu, a thread an output: grid (ceil(width / 256), rows), 256 threads. The first of two norms is a
// launch of its own, with first.data 0.
#include "kernel.h"
#include "params.h"

KERNEL(naive_rms_norm, NormParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
    float squares = 0.0f;
    for (uint32_t i = 0; i < p.width; i++) squares += x[i] * x[i];
    const float y = x[channel] / sqrtf(squares / p.width + p.eps) * global<const float>(p.weight)[channel];
    const size_t at = (size_t)row * p.out.pitch + channel;
    if (p.out.dtype == DTYPE_F32)
        global<float>(p.out.data)[at] = y;
    else
        global<__nv_bfloat16>(p.out.data)[at] = __float2bfloat16_rn(y);
}
