// out[i] = *from[i]: rows of f32, each from an address of its own at a multiple of 16 bytes, and none of them in out.
// Compacts rows.
//
// A block a row; 4 w bytes of w channels are read and written once, the fewest possible.
#include "row.h"

KERNEL(gather, GatherParams, 512) {
    const Global<const float> from = global<const float>(global<const uint64_t>(p.from)[blockIdx.x]);
    const Global<float> out = row_of<float>(p.out, blockIdx.x);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(from + channel, count); },
        [&](uint32_t channel, uint32_t count, const Four& v) { store_four(out + channel, v, count); });
}
