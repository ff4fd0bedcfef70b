// dx of kernels/norm_backward.cu, a thread an element: grid (ceil(width / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

DEVICE void naive_norm_backward(const NormBackwardParams& p, bool centred) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
    const Global<const float> dy = global<const float>(p.dy.data) + (size_t)row * p.dy.pitch;
    const Global<const float> w = global<const float>(p.weight);
    float mean = 0.0f, variance = 0.0f, level = 0.0f, slope = 0.0f;
    for (uint32_t i = 0; centred && i < p.width; i++) mean += x[i];
    mean /= p.width;
    for (uint32_t i = 0; i < p.width; i++) variance += (x[i] - mean) * (x[i] - mean);
    const float factor = 1.0f / sqrtf(variance / p.width + p.eps);
    for (uint32_t i = 0; i < p.width; i++) {
        if (centred) level += dy[i] * w[i];
        slope += dy[i] * w[i] * ((x[i] - mean) * factor);
    }
    const float normed = (x[channel] - mean) * factor;
    global<float>(p.dx.data)[(size_t)row * p.dx.pitch + channel] =
        factor * (dy[channel] * w[channel] - level / p.width - normed * (slope / p.width));
}

KERNEL(naive_layer_norm_backward, NormBackwardParams, 256) { naive_norm_backward(p, true); }
KERNEL(naive_rms_norm_backward, NormBackwardParams, 256) { naive_norm_backward(p, false); }
