// out = (x - mean) / sqrt(var + eps) * weight + bias by row, var = mean((x - mean)^2).
//
// A block a row. Each thread keeps its channels in shared memory, so that the variance is summed from the distances to
// the mean without another read: 4 w bytes are read and 4 w (f32) or 2 w (bf16) written a row of w channels, the fewest
// possible, and 8 w of weights and biases that all rows share. No thread reads another's channels.
// Shared memory: w channels rounded up to 4, then two folds.
#include "row.h"

KERNEL(layer_norm, NormParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<float> held = arena.take<float>((p.width + 3) / 4 * 4, 16);
    const Shared<float> slots = arena.take<float>(2 * FOLD_SLOTS);
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x);

    float sum = 0.0f;
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t channel, uint32_t, const Four& v) {
            view<Four>(held + channel)[0] = v;
            sum += (v.of[0] + v.of[1]) + (v.of[2] + v.of[3]);
        });
    const float mean = __fdiv_rn(block_sum(sum, slots), (float)p.width);

    const auto again = [&](uint32_t channel, uint32_t) { return view<Four>(held + channel)[0]; };
    float squares = 0.0f;
    each_four(p.width, again, [&](uint32_t, uint32_t count, const Four& v) {
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            const float distance = i < count ? v.of[i] - mean : 0.0f;
            squares = fmaf(distance, distance, squares);
        }
    });
    const float variance = __fdiv_rn(block_sum(squares, slots + FOLD_SLOTS), (float)p.width);
    const float factor = __frcp_rn(__fsqrt_rn(variance + p.eps));

    struct Affine {
        Four weight, bias;
    };
    const Global<const float> weight = global<const float>(p.weight), bias = global<const float>(p.bias);
    const auto affine = [&](uint32_t channel, uint32_t count) {
        return Affine{load_four(weight + channel, count), load_four(bias + channel, count)};
    };
    each_four(p.width, affine, [&](uint32_t channel, uint32_t count, const Affine& a) {
        Four v = again(channel, count);
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) v.of[i] = fmaf((v.of[i] - mean) * factor, a.weight.of[i], a.bias.of[i]);
        store_four(p.out, blockIdx.x, channel, v, count);
    });
}
