// kernels/window_attention.cu, a thread an output: grid (ceil(query_heads head_dim / 256), rows), 256 threads.
#include "window.h"

KERNEL(naive_window_attention, WindowAttentionParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y, dim = p.head_dim;
    if (channel >= p.query_heads * dim) return;
    const NaiveWindow window(p, row, channel / dim);
    const uint32_t of_kv = window.head / (p.query_heads / p.kv_heads) * dim + channel % dim;
    float sum = 0.0f;
    for (uint32_t at = 0; at < window.visible; at++)
        sum = fmaf(window.probability(at), global<const float>(p.v.data)[(size_t)(window.first + at) * p.v.pitch + of_kv], sum);
    global<float>(p.out.data)[(size_t)row * p.out.pitch + channel] = sum;
}
