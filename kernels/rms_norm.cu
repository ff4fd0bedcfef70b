// out = x / sqrt(mean(x^2) + eps) * weight by row; with first.data, first = norm(x; first_weight), f32, and
// out = norm(first; weight): the norm that ends one sandwich half and the one that begins the next.
//
// A block a row. Each thread keeps its channels in shared memory: 4 w bytes are read and 4 w (f32) or 2 w (bf16) written
// a row of w channels, and 4 w of `first`, the fewest possible, and 4 w of each weight, which all rows share. No thread
// reads another's channels, and all of a row's are read before one is written: first or out may be x.
// Shared memory: w channels rounded up to 4, then two folds.
#include "row.h"

DEVICE float square_sum(const Four& v, float sum) {
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) sum = fmaf(v.of[i], v.of[i], sum);
    return sum;
}

// x * factor * weight.
DEVICE Four normalized(const Four& x, float factor, const Four& weight) {
    Four y;
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) y.of[i] = x.of[i] * factor * weight.of[i];
    return y;
}

DEVICE float factor_of(float squares, uint32_t width, float eps) {
    return __frcp_rn(__fsqrt_rn(__fdiv_rn(squares, (float)width) + eps));
}

KERNEL(rms_norm, NormParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<float> held = arena.take<float>((p.width + 3) / 4 * 4, 16);
    const Shared<float> slots = arena.take<float>(2 * FOLD_SLOTS);
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x);

    float squares = 0.0f;
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t channel, uint32_t, const Four& v) {
            view<Four>(held + channel)[0] = v;
            squares = square_sum(v, squares);
        });
    float factor = factor_of(block_sum(squares, slots), p.width, p.eps);

    if (p.first.data) {
        const Global<const float> weight = global<const float>(p.first_weight);
        const Global<float> first = row_of<float>(p.first, blockIdx.x);
        squares = 0.0f;
        each_four(
            p.width, [&](uint32_t channel, uint32_t count) { return load_four(weight + channel, count); },
            [&](uint32_t channel, uint32_t count, const Four& w) {
                const Four v = normalized(view<Four>(held + channel)[0], factor, w);
                view<Four>(held + channel)[0] = v;
                store_four(first + channel, v, count);
                squares = square_sum(v, squares);
            });
        factor = factor_of(block_sum(squares, slots + FOLD_SLOTS), p.width, p.eps);
    }

    const Global<const float> weight = global<const float>(p.weight);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(weight + channel, count); },
        [&](uint32_t channel, uint32_t count, const Four& w) {
            const Four v = view<Four>(held + channel)[0];
            store_four(p.out, blockIdx.x, channel, normalized(v, factor, w), count);
        });
}
