// x += y: f32, in place.
//
// A block a row; of w channels 8 w bytes are read and 4 w written, the fewest possible for a sum that no epilogue takes.
#include "row.h"

KERNEL(add, AddParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    const Global<const float> y = row_of<const float>(p.y, blockIdx.x);
    struct Both {
        Four x, y;
    };
    each_four(
        p.width,
        [&](uint32_t channel, uint32_t count) {
            return Both{load_four(Global<const float>(x + channel), count), load_four(y + channel, count)};
        },
        [&](uint32_t channel, uint32_t count, Both both) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) both.x.of[i] += both.y.of[i];
            store_four(x + channel, both.x, count);
        });
}
