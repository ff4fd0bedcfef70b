// The sum of the squares of all elements of x [rows][width], f32, in f64: of each row (`square_sum`), then of the rows (`total`).
//
// A block a row, 4 w bytes of w channels read once, the fewest possible; one block for the rows. A thread sums a chain, and the
// threads' sums are added in a tree: the order follows from the shape alone.
#include "row.h"

KERNEL(square_sum, SquareSumParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<double> slots = arena.take<double>(FOLD_SLOTS);
    const Global<const float> x = row_of<const float>(p.x, blockIdx.x);
    double sum = 0.0;
    each_four(
        p.width, [&](uint32_t channel, uint32_t count) { return load_four(x + channel, count); },
        [&](uint32_t, uint32_t, const Four& v) {
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) sum = fma((double)v.of[i], (double)v.of[i], sum);
        });
    sum = block_sum(sum, slots);
    if (threadIdx.x == 0) global<double>(p.partials)[blockIdx.x] = sum;
}

KERNEL(total, SquareSumParams, 512) {
    DYNAMIC_SHARED(arena);
    const Shared<double> slots = arena.take<double>(FOLD_SLOTS);
    const Global<const double> partials = global<const double>(p.partials);
    double sum = 0.0;
    for (uint32_t row = threadIdx.x; row < p.rows; row += blockDim.x) sum += partials[row];
    sum = block_sum(sum, slots);
    if (threadIdx.x == 0) global<double>(p.out)[0] = sum;
}
