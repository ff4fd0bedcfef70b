// out = x in bf16, rounded to nearest even: f32 rows on their way into a product with bf16 weights.
//
// A block a row. 4 w bytes are read and 2 w written a row of w channels, the fewest possible.
#include "row.h"

KERNEL(round_rows, RoundParams, 512) {
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t channel, uint32_t count, const Four& v) { store_four(p.out, blockIdx.x, channel, v, count); });
}
