// kernels/attention.cu, a thread an output: grid (ceil(query_heads head_dim / 256), rows), 256 threads. All that row i reads
// stands in the spans of member i. In bf16 weights are rounded before they meet the values, sums are f32.
#include "product.h"

// q k / sqrt(d) of a position whose key is at `key`.
template <class T> DEVICE float naive_score(const AttentionParams& p, Global<const T> q, Global<const T> key) {
    float dot = 0.0f;
    for (uint32_t c = 0; c < p.head_dim; c++) dot = fmaf(naive_widened(q[c]), naive_widened(key[c]), dot);
    return dot * p.scale;
}

template <class T> DEVICE void naive_attention(const AttentionParams& p) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, dim = p.head_dim;
    if (channel >= p.query_heads * dim) return;
    const AttentionMember member = global<const AttentionMember>(p.members)[blockIdx.y];
    const Global<const KvSpan> spans = global<const KvSpan>(p.spans) + member.first_span;
    const uint32_t head = channel / dim, offset = head / (p.query_heads / p.kv_heads) * dim, width = p.kv_heads * dim;
    const Global<const T> q = global<const T>(p.q.data) + ((size_t)member.row * p.q.pitch + head * dim);
    float largest = -INFINITY, total = 0.0f, sum = 0.0f;
    // The largest score, then the sum of weights, then that of weighted values.
    for (uint32_t pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < member.spans; i++) {
            const KvSpan span = spans[i];
            const uint64_t to_slot = p.slot * span.slot_stride;
            for (uint32_t at = 0; at < span.count; at++) {
                const size_t row = (size_t)at * width + offset;
                const float score = naive_score<T>(p, q, global<const T>(span.keys + to_slot) + row);
                if (pass == 0) {
                    largest = fmaxf(largest, score);
                } else if (pass == 1) {
                    total += expf(score - largest);
                } else {
                    const float weight = naive_rounded<T>(expf(score - largest) / total);
                    sum += weight * naive_widened(global<const T>(span.values + to_slot)[row + channel % dim]);
                }
            }
        }
    naive_store(p.out, (size_t)member.row * p.out.pitch + channel, sum);
}

KERNEL(naive_attention_f32, AttentionParams, 256) { naive_attention<float>(p); }
KERNEL(naive_attention_bf16, AttentionParams, 256) { naive_attention<__nv_bfloat16>(p); }
