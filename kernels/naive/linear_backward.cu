// kernels/linear_backward.cu, a thread an element of dw: grid (ceil(k / 256), n), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_linear_backward_weight, LinearBackwardParams, 256) {
    const uint32_t k = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.y;
    if (k >= p.k) return;
    float sum = 0.0f;
    for (size_t row = 0; row < p.rows; row++)
        sum = fmaf(global<const float>(p.dy.data)[row * p.dy.pitch + n], global<const float>(p.x.data)[row * p.x.pitch + k], sum);
    global<float>(p.dw.data)[(size_t)n * p.dw.pitch + k] += sum;
}
