// kernels/heads.cu, a thread a channel of the fused row: grid (ceil((queries + 2 keys) / 256), rows), 256 threads.
#include "kernel.h"
#include "params.h"

DEVICE float& naive_apart(const HeadsParams& p, uint32_t row, uint32_t channel) {
    const size_t place = global<const uint32_t>(p.places)[row];
    if (channel < p.queries) return global<float>(p.q.data)[(size_t)row * p.q.pitch + channel];
    channel -= p.queries;
    return channel < p.keys ? global<float>(p.k.data)[place * p.k.pitch + channel]
                            : global<float>(p.v.data)[place * p.v.pitch + channel - p.keys];
}

KERNEL(naive_split_heads, HeadsParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel < p.queries + 2 * p.keys)
        naive_apart(p, row, channel) = global<const float>(p.qkv.data)[(size_t)row * p.qkv.pitch + channel];
}
KERNEL(naive_join_heads, HeadsParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y;
    if (channel < p.queries + 2 * p.keys)
        global<float>(p.qkv.data)[(size_t)row * p.qkv.pitch + channel] = naive_apart(p, row, channel);
}
