// kernels/qkv.cu, a thread a channel: grid (ceil((query_heads + 2 kv_heads) head_dim / 256), rows), 256 threads. With
// norm_weight, x is f32 and rounded where qkv.cu rounds it: after the norm's weight, before the row's factor.
#include "product.h"

template <class T> DEVICE float naive_projection(const QkvParams& p, uint32_t row, uint32_t channel) {
    float sum = 0.0f;
    if (p.norm_weight) {
        const Global<const float> x = global<const float>(p.x.data) + (size_t)row * p.x.pitch;
        const Global<const float> norm = global<const float>(p.norm_weight);
        const Global<const T> weight = global<const T>(p.weight.data) + (size_t)channel * p.weight.pitch;
        float squares = 0.0f;
        for (uint32_t k = 0; k < p.k; k++) {
            squares = fmaf(x[k], x[k], squares);
            sum = fmaf(naive_rounded<T>(x[k] * norm[k]), naive_widened(weight[k]), sum);
        }
        sum /= sqrtf(squares / p.k + p.eps);
    } else {
        sum = naive_product<T>(p.x, row, p.weight, channel, p.k);
    }
    return p.bias ? sum + global<const float>(p.bias)[channel] : sum;
}

template <class T> DEVICE void naive_qkv(const QkvParams& p) {
    const uint32_t channel = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y, d = p.head_dim;
    const uint32_t queries = p.query_heads * d, keys = p.kv_heads * d;
    if (channel < queries + 2 * keys) {
        float y = naive_projection<T>(p, row, channel);
        if (p.rotate != ROTATE_NONE && channel < queries + keys) {
            const bool halves = p.rotate == ROTATE_HALF_SPLIT;
            const uint32_t at = channel % d, pair = halves ? at % (d / 2) : at / 2;
            const bool first = halves ? at < d / 2 : at % 2 == 0;
            const uint32_t apart = halves ? d / 2 : 1;
            const float other = naive_projection<T>(p, row, first ? channel + apart : channel - apart);
            const Global<const float> angles = global<const float>(p.angles) + (size_t)row * p.angles_pitch;
            const float cosine = angles[pair], sine = angles[d / 2 + pair];
            y = first ? y * cosine - other * sine : y * cosine + other * sine;
        }
        if (channel < queries) {
            naive_store(p.out, (size_t)row * p.out.pitch + channel, y);
        } else {
            const KvPlace place = global<const KvPlace>(p.places)[row];
            const uint32_t within = channel - queries;
            const Rows slot = {(within < keys ? place.keys : place.values) + p.slot * place.slot_stride, 0, p.kv_dtype};
            naive_store(slot, within % keys, y);
        }
    }
}

KERNEL(naive_qkv_f32, QkvParams, 256) { naive_qkv<float>(p); }
KERNEL(naive_qkv_bf16, QkvParams, 256) { naive_qkv<__nv_bfloat16>(p); }
