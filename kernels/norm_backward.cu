// Gradients of LayerNorm and RMSNorm, f32: with g = dy w, x^ the normalised channel and r its scale, LayerNorm's is
// dx = r (g - mean(g) - x^ mean(g x^)), RMSNorm's the same without mean(g). The sums over rows of dy x^ (and dy) are those of
// sixteen rows each; `add_rows` (column_sums.cu) adds them to the gradients of weight and bias.
//
// A block sixteen rows, one after the other. Of each row of w channels x and dy come from memory once and dx is written, 12 w
// bytes, the fewest possible; every further pass over a row finds it in the first or second-level cache. 4 w / 16 bytes (twice
// that of LayerNorm) of sums are written a row. Shared memory: a vector of sums, or two, of w channels rounded up to 4, whose
// every element is one thread's, and four folds.
#include "row.h"

constexpr uint32_t NORM_ROWS = 16;

template <bool CENTRED> DEVICE void norm_backward(Arena& arena, const NormBackwardParams& p) {
    const uint32_t held = (p.width + 3) / 4 * 4;
    const Shared<float> dweight = arena.take<float>(held, 16), dbias = arena.take<float>(CENTRED ? held : 4, 16);
    // A row uses at least two folds in turn, so that between a fold and the next one in its place there is a barrier.
    const Shared<float> slots = arena.take<float>(4 * FOLD_SLOTS);
    const Global<const float> weight = global<const float>(p.weight);
    const float width = (float)p.width;
    struct Loaded {
        Four x, dy, weight;
    };
    each_four(
        p.width, [](uint32_t, uint32_t) { return Four{}; },
        [&](uint32_t channel, uint32_t, const Four& zeros) {
            view<Four>(dweight + channel)[0] = zeros;
            if (CENTRED) view<Four>(dbias + channel)[0] = zeros;
        });

    const uint32_t last = min((blockIdx.x + 1) * NORM_ROWS, p.rows);
#pragma unroll 1
    for (uint32_t row = blockIdx.x * NORM_ROWS; row < last; row++) {
        const Global<const float> x = row_of<const float>(p.x, row), dy = row_of<const float>(p.dy, row);
        const Global<float> dx = row_of<float>(p.dx, row);
        const auto load_x = [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); };
        const auto load = [&](uint32_t channel, uint32_t count) {
            return Loaded{load_four(x + channel, count), load_four(dy + channel, count), load_four(weight + channel, count)};
        };
        float mean = 0.0f;
        if (CENTRED) {
            each_four(p.width, load_x, [&](uint32_t, uint32_t, const Four& v) {
                mean += (v.of[0] + v.of[1]) + (v.of[2] + v.of[3]);
            });
            mean = __fdiv_rn(block_sum(mean, slots), width);
        }
        float squares = 0.0f;
        each_four(p.width, load_x, [&](uint32_t, uint32_t count, const Four& v) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const float distance = i < count ? __fsub_rn(v.of[i], mean) : 0.0f;
                squares = fmaf(distance, distance, squares);
            }
        });
        squares = __fdiv_rn(block_sum(squares, slots + FOLD_SLOTS), width);
        const float factor = __frcp_rn(__fsqrt_rn(__fadd_rn(squares, p.eps)));

        float level = 0.0f, slope = 0.0f;
        each_four(p.width, load, [&](uint32_t channel, uint32_t, const Loaded& v) {
            const Shared<Four> to_weight = view<Four>(dweight + channel), to_bias = view<Four>(dbias + (CENTRED ? channel : 0));
            Four of_weight = to_weight[0], of_bias = to_bias[0];
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const float normed = __fmul_rn(__fsub_rn(v.x.of[i], mean), factor), g = __fmul_rn(v.dy.of[i], v.weight.of[i]);
                level += g;
                slope = fmaf(g, normed, slope);
                of_weight.of[i] = fmaf(v.dy.of[i], normed, of_weight.of[i]);
                of_bias.of[i] += v.dy.of[i];
            }
            to_weight[0] = of_weight;
            if (CENTRED) to_bias[0] = of_bias;
        });
        level = CENTRED ? __fdiv_rn(block_sum(level, slots + 2 * FOLD_SLOTS), width) : 0.0f;
        slope = __fdiv_rn(block_sum(slope, slots + 3 * FOLD_SLOTS), width);
        each_four(p.width, load, [&](uint32_t channel, uint32_t count, const Loaded& v) {
            Four d;
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const float normed = __fmul_rn(__fsub_rn(v.x.of[i], mean), factor), g = __fmul_rn(v.dy.of[i], v.weight.of[i]);
                d.of[i] = __fmul_rn(factor, __fmaf_rn(-normed, slope, __fsub_rn(g, level)));
            }
            store_four(dx + channel, d, count);
        });
    }
    const Global<float> to_weight = row_of<float>(p.dweight, blockIdx.x);
    const Global<float> to_bias = row_of<float>(p.dbias, CENTRED ? blockIdx.x : 0);
    const auto of_weight = [&](uint32_t channel, uint32_t) { return view<Four>(dweight + channel)[0]; };
    each_four(p.width, of_weight, [&](uint32_t channel, uint32_t count, const Four& sums) {
        store_four(to_weight + channel, sums, count);
        if (CENTRED) store_four(to_bias + channel, view<Four>(dbias + channel)[0], count);
    });
}

KERNEL(layer_norm_backward, NormBackwardParams, 512) {
    DYNAMIC_SHARED(arena);
    norm_backward<true>(arena, p);
}
KERNEL(rms_norm_backward, NormBackwardParams, 512) {
    DYNAMIC_SHARED(arena);
    norm_backward<false>(arena, p);
}
