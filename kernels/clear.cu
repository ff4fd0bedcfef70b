// x = 0, whatever its elements are: rows of words of 32 bits.
//
// A block a row; 4 w bytes of w words are written once.
#include "row.h"

KERNEL(clear, ClearParams, 512) {
    const Global<float> x = row_of<float>(p.x, blockIdx.x);
    each_four(
        p.words, [](uint32_t, uint32_t) { return Four{}; },
        [&](uint32_t channel, uint32_t count, const Four& zeros) { store_four(x + channel, zeros, count); });
}
