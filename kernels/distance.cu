// Of each row |x - y|, |x|, |y| and x y, the norms Euclidean: what latent-diff |x - y| / |x| and cosine distance
// 1 - x y / (|x| |y|) are made of (arXiv 2502.05171).
//
// A block a row; both rows of w channels are read once, 8 w bytes, the fewest possible, for 16 bytes of output. A thread
// sums a chain of fused multiply-adds over its w / blockDim.x channels, and the threads' sums are added in a tree.
#include "row.h"

KERNEL(distance, DistanceParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<float> slots = arena.take<float>(4 * FOLD_SLOTS);
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x), y = row_of<const float>(p.y, blockIdx.x);
    struct Both {
        Four x, y;
    };
    float apart = 0.0f, xx = 0.0f, yy = 0.0f, xy = 0.0f;
    each_four(
        p.width,
        [&](uint32_t channel, uint32_t count) {
            return Both{load_four(x + channel, count), load_four(y + channel, count)};
        },
        [&](uint32_t, uint32_t, const Both& both) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const float a = both.x.of[i], b = both.y.of[i];
                apart = fmaf(a - b, a - b, apart);
                xx = fmaf(a, a, xx);
                yy = fmaf(b, b, yy);
                xy = fmaf(a, b, xy);
            }
        });
    const float sums[4] = {apart, xx, yy, xy};
    Four result;
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) {
        const float sum = block_sum(sums[i], slots + i * FOLD_SLOTS);
        result.of[i] = i < 3 ? __fsqrt_rn(sum) : sum;
    }
    if (threadIdx.x == 0) view<Four>(row_of<float>(p.out, blockIdx.x))[0] = result;
}
