// table[id] += scale dy[row] for all rows of an id, one fused multiply-add after the other by rising row: f32. The host sorts
// the rows by id, so that no two blocks write one row.
//
// A block an id; of w channels 4 w bytes of each of its rows are read, and 4 w of the table read and written: the fewest
// possible.
#include "row.h"

KERNEL(embedding_backward, EmbeddingBackwardParams, 512) {
    const EmbeddingEntry entry = global<const EmbeddingEntry>(p.entries)[blockIdx.x];
    const Global<float> out = row_of<float>(p.table, entry.id);
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(Global<const float>(out + channel), count); },
        [&](uint32_t channel, uint32_t count, Four sums) {
#pragma unroll 4
            for (uint32_t i = 0; i < entry.count; i++) {
                const uint32_t row = global<const uint32_t>(p.order)[entry.first + i];
                const Four v = load_four(row_of<const float>(p.dy, row) + channel, count);
#pragma unroll
                for (uint32_t c = 0; c < 4; c++) sums.of[c] = __fmaf_rn(p.scale, v.of[c], sums.of[c]);
            }
            store_four(out + channel, sums, count);
        });
}
