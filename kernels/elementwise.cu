// scale_rows: x *= factor; add_rows: x += y. f32, in place.
//
// A block a row; a row of w channels is read once, 4 w bytes and as many of y, and written once: the fewest possible.
#include "row.h"

KERNEL(scale_rows, ElementwiseParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t channel, uint32_t count, Four v) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) v.of[i] *= p.factor;
            store_four(x + channel, v, count);
        });
}

KERNEL(add_rows, ElementwiseParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    const Global<const float> y = row_of<const float>(p.y, blockIdx.x);
    struct Terms {
        Four x, y;
    };
    each_four(
        p.width,
        [&](uint32_t channel, uint32_t count) {
            return Terms{load_four(x + channel, count), load_four(y + channel, count)};
        },
        [&](uint32_t channel, uint32_t count, Terms terms) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) terms.x.of[i] += terms.y.of[i];
            store_four(x + channel, terms.x, count);
        });
}
