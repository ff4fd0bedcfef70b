// losses[i] = -ln softmax(logits[i])[target], and logits[i] becomes scale (softmax - 1 at the target); 0 without a target. f32.
//
// A block a row, in three passes over its w logits: the largest, the sum of e^(logit - largest), the gradient. The first brings
// 4 w bytes from memory and the last writes 4 w, the fewest possible; the others find them in the second-level cache as far as
// it holds the rows of the blocks under way.
#include "activation.h"
#include "row.h"

KERNEL(cross_entropy, CrossEntropyParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<float> slots = arena.take<float>(2 * FOLD_SLOTS);
    const Global<float> x = row_of<float>(p.logits, blockIdx.x);
    const uint32_t target = global<const uint32_t>(p.targets)[blockIdx.x];
    const Global<float> loss = global<float>(p.losses) + blockIdx.x;
    const auto load = [&](uint32_t channel, uint32_t count) { return load_four(Global<const float>(x + channel), count); };
    if (target == NO_TARGET) {
        each_four(
            p.width, [](uint32_t, uint32_t) { return Four{}; },
            [&](uint32_t channel, uint32_t count, const Four& zeros) { store_four(x + channel, zeros, count); });
        if (threadIdx.x == 0) loss[0] = 0.0f;
        return;
    }
    const float chosen = x[target];

    float largest = -INFINITY;
    each_four(p.width, load, [&](uint32_t, uint32_t count, const Four& v) {
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) largest = i < count ? fmaxf(largest, v.of[i]) : largest;
    });
    largest = block_max(largest, slots);

    float sum = 0.0f;
    each_four(p.width, load, [&](uint32_t, uint32_t count, const Four& v) {
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) sum += i < count ? exponential(v.of[i] - largest) : 0.0f;
    });
    // Behind the barrier of this fold all have read the target's logit.
    sum = block_sum(sum, slots + FOLD_SLOTS);

    const float factor = __fdiv_rn(p.scale, sum);
    each_four(p.width, load, [&](uint32_t channel, uint32_t count, Four v) {
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            const float share = __fmul_rn(exponential(v.of[i] - largest), factor);
            v.of[i] = channel + i == target ? __fsub_rn(share, p.scale) : share;
        }
        store_four(x + channel, v, count);
    });
    // In double precision: of a confident row, what is left is the rounding of the sum.
    if (threadIdx.x == 0) loss[0] = (float)(log((double)sum) - ((double)chosen - (double)largest));
}
