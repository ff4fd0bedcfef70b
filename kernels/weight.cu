// A weight [n][pitch] from rows of f32: from [n][k] as they are, or from their transpose [k][n]; zeros behind a row's end,
// which rows of activations do not have.
//
// `weight_of_columns`: a block a row, 4 k bytes read and written once. `weight_of_rows`: grid (ceil(k / 32), ceil(n / 32)), a
// block of 256 threads a tile of 32 by 32 that goes through shared memory, so that a warp reads and writes 128 bytes side by
// side; 4 n k bytes read and written once. Both the fewest possible.
#include "row.h"

DEVICE uint32_t weight_pitch(uint32_t k) { return (k + 7) / 8 * 8; }

KERNEL(weight_of_columns, WeightParams, 512) {
    const Global<const float> from = row_of<const float>(p.from, blockIdx.x);
    const Global<float> out = row_of<float>(p.out, blockIdx.x);
    const auto load = [&](uint32_t channel, uint32_t) {
        return load_four(from + channel, channel < p.k ? min(p.k - channel, 4u) : 0);
    };
    each_four(weight_pitch(p.k), load,
              [&](uint32_t channel, uint32_t count, const Four& v) { store_four(out + channel, v, count); });
}

constexpr uint32_t TILE = 32, STRIDE = TILE + 1;  // rows of a tile begin on banks of their own

KERNEL(weight_of_rows, WeightParams, 256) {
    DYNAMIC_SHARED(arena);
    const Shared<float> tile = arena.take<float>(TILE * STRIDE);
    const uint32_t lane = threadIdx.x % TILE, warp = threadIdx.x / TILE, warps = 256 / TILE;
    const uint32_t k = blockIdx.x * TILE, n = blockIdx.y * TILE;
#pragma unroll
    for (uint32_t i = warp; i < TILE; i += warps)
        tile[i * STRIDE + lane] =
            k + i < p.k && n + lane < p.n ? row_of<const float>(p.from, k + i)[n + lane] : 0.0f;
    __syncthreads();
#pragma unroll
    for (uint32_t i = warp; i < TILE; i += warps)
        if (n + i < p.n && k + lane < weight_pitch(p.k))
            row_of<float>(p.out, n + i)[k + lane] = tile[lane * STRIDE + i];
}
