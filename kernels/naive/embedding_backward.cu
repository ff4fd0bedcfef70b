// kernels/embedding_backward.cu, a thread a channel of an entry: grid (ceil(width / 256), entries), 256 threads.
#include "kernel.h"
#include "params.h"

KERNEL(naive_embedding_backward, EmbeddingBackwardParams, 256) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= p.width) return;
    const EmbeddingEntry entry = global<const EmbeddingEntry>(p.entries)[blockIdx.y];
    float& sum = global<float>(p.table.data)[(size_t)entry.id * p.table.pitch + channel];
    for (uint32_t i = 0; i < entry.count; i++) {
        const size_t row = global<const uint32_t>(p.order)[entry.first + i];
        sum = fmaf(p.scale, global<const float>(p.dy.data)[row * p.dy.pitch + channel], sum);
    }
}
