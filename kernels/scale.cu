// x *= factor: f32, in place.
//
// A block a row; 4 w bytes of w channels are read and written once, the fewest possible for a factor that no epilogue takes.
#include "row.h"

KERNEL(scale, ScaleParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t channel, uint32_t count, Four v) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) v.of[i] *= p.factor;
            store_four(x + channel, v, count);
        });
}
