// Sums over rows, f32: of every 64 rows by themselves (`column_sums`), then all rows added to a vector in turn (`add_rows`).
// One after the other they add the sums of columns to a vector, in the order of the CPU.
//
// A thread four channels, which it loads side by side with its warp's; grid (ceil(width / 512), blocks of rows). 4 n w bytes
// of n rows of w channels are read once, the fewest possible, and 4 w n / 64 written and read again.
#include "row.h"

constexpr uint32_t SUM_ROWS = 64, SUM_THREADS = 128;

// sums + rows first ... last - 1, one after the other.
DEVICE Four add_each(const Rows& x, uint32_t first, uint32_t last, uint32_t channel, uint32_t count, Four sums) {
#pragma unroll 4
    for (uint32_t row = first; row < last; row++) {
        const Four v = load_four(row_of<const float>(x, row) + channel, count);
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) sums.of[i] = __fadd_rn(sums.of[i], v.of[i]);
    }
    return sums;
}

KERNEL(column_sums, ColumnSumsParams, SUM_THREADS) {
    const uint32_t channel = 4 * (blockIdx.x * SUM_THREADS + threadIdx.x), first = blockIdx.y * SUM_ROWS;
    if (channel >= p.width) return;
    const uint32_t count = min(p.width - channel, 4u), last = min(first + SUM_ROWS, p.rows);
    store_four(row_of<float>(p.out, blockIdx.y) + channel, add_each(p.x, first, last, channel, count, {}), count);
}

KERNEL(add_rows, ColumnSumsParams, SUM_THREADS) {
    const uint32_t channel = 4 * (blockIdx.x * SUM_THREADS + threadIdx.x);
    if (channel >= p.width) return;
    const uint32_t count = min(p.width - channel, 4u);
    const Global<float> out = global<float>(p.out.data) + channel;
    store_four(out, add_each(p.x, 0, p.rows, channel, count, load_four(Global<const float>(out), count)), count);
}
