// kernels/window_attention_backward.cu, a thread an element: of dq grid (ceil(query_heads head_dim / 256), rows), of dk and dv
// (ceil(kv_heads head_dim / 256), positions), 256 threads. `statistics` is the number of rows here.
#include "window.h"

KERNEL(naive_window_queries, WindowAttentionParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y, dim = p.head_dim;
    if (channel >= p.query_heads * dim) return;
    const NaiveWindow window(p, row, channel / dim);
    const uint32_t of_kv = window.head / (p.query_heads / p.kv_heads) * dim + channel % dim;
    float sum = 0.0f;
    for (uint32_t at = 0; at < window.visible; at++)
        sum = fmaf(window.slope(at), global<const float>(p.k.data)[(size_t)(window.first + at) * p.k.pitch + of_kv], sum);
    global<float>(p.dq.data)[(size_t)row * p.dq.pitch + channel] = sum;
}

KERNEL(naive_window_keys, WindowAttentionParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, position = blockIdx.y, dim = p.head_dim;
    if (channel >= p.kv_heads * dim) return;
    const uint32_t group = p.query_heads / p.kv_heads;
    float dk = 0.0f, dv = 0.0f;
    for (uint32_t head = channel / dim * group; head < (channel / dim + 1) * group; head++)
        for (uint32_t row = 0; row < p.statistics; row++) {
            const NaiveWindow window(p, row, head);
            const uint32_t at = position - window.first, from = head * dim + channel % dim;
            if (at >= window.visible) continue;
            dk = fmaf(window.slope(at), global<const float>(p.q.data)[(size_t)row * p.q.pitch + from], dk);
            dv = fmaf(window.probability(at), global<const float>(p.dout.data)[(size_t)row * p.dout.pitch + from], dv);
        }
    global<float>(p.dk.data)[(size_t)position * p.dk.pitch + channel] += dk;
    global<float>(p.dv.data)[(size_t)position * p.dv.pitch + channel] += dv;
}
