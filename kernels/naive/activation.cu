// kernels/activation.cu, a thread a channel that comes out: grid (ceil(width / 256), rows), 256 threads.
#include "activation.h"
#include "params.h"

KERNEL(naive_activation, ActivationParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
    global<float>(p.out.data)[(size_t)row * p.out.pitch + channel] =
        p.kind == ACTIVATION_SWIGLU      ? swiglu(x[2 * channel], x[2 * channel + 1])
        : p.kind == ACTIVATION_GELU_TANH ? gelu_tanh(x[channel])
                                         : gelu_erf(x[channel]);
}

KERNEL(naive_activation_backward, ActivationParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel >= p.width) return;
    const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
    const Global<float> dx = global<float>(p.out.data) + (size_t)row * p.out.pitch;
    const float dy = global<const float>(p.dy.data)[(size_t)row * p.dy.pitch + channel];
    if (p.kind == ACTIVATION_SWIGLU) {
        const float2 slopes = swiglu_slopes(x[2 * channel], x[2 * channel + 1]);
        dx[2 * channel] = dy * slopes.x;
        dx[2 * channel + 1] = dy * slopes.y;
    } else {
        dx[channel] = dy * (p.kind == ACTIVATION_GELU_TANH ? gelu_tanh_slope(x[channel]) : gelu_erf_slope(x[channel]));
    }
}
