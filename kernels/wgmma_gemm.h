// Tiles of x W on sm_90a, operands swapped: 64 columns of W (rows of the weight) to a warpgroup are wgmma's M, N rows of
// x its N, so that an element's sum is one chain over k16 steps in rising k for every number of rows.
//
// A producer's lane keeps STAGES tiles of 64 channels under way (TMA, rows of 128 bytes, swizzled); each mbarrier of
// `full` counts their bytes, each of `empty` the consumers' warps that are done with a stage. What lies beyond k, n or the
// rows arrives as zero. Sums go through shared memory to where they are used, row by row of x, columns side by side.
#pragma once
#include "epilogue.h"
#include "hopper.h"

#if HAS_WGMMA
template <int WARPGROUPS, int N, int STAGES> struct WgmmaTile {
    static constexpr int COLUMNS = 64 * WARPGROUPS, ROWS = N;
    static constexpr int CONSUMERS = 128 * WARPGROUPS, THREADS = CONSUMERS + 32;
    static constexpr int DEPTH = 64, STAGE = (COLUMNS + N) * DEPTH;  // elements
    static constexpr int PITCH = SUMS_PITCH<COLUMNS>;

    Shared<__nv_bfloat16> ring;
    Shared<float> sums;
    Shared<uint64_t> full, empty;

    DEVICE explicit WgmmaTile(Arena& arena)
        : ring(arena.take<__nv_bfloat16>(STAGES * STAGE, 1024)),
          sums(arena.take<float>(N * PITCH, 16)),
          full(arena.take<uint64_t>(STAGES)),
          empty(arena.take<uint64_t>(STAGES)) {}

    // Copies what the product of `k` channels takes, as stages become free; one thread.
    DEVICE void produce(const TensorMap* x, const TensorMap* weight, int row, int column, int k) const {
        int stage = 0, round = 0;
        for (int channel = 0; channel < k; channel += DEPTH) {
            mbarrier_wait(empty + stage, (round & 1) ^ 1);  // the phase before the first counts as ended
            const Shared<__nv_bfloat16> tile = ring + stage * STAGE;
            mbarrier_arrive_expect(full + stage, STAGE * 2);
            tma_load_2d(tile, weight, channel, column, full + stage);
            tma_load_2d(tile + COLUMNS * DEPTH, x, channel, row, full + stage);
            if (++stage == STAGES) stage = 0, round++;
        }
    }

    // The product, into `sums`, [N][PITCH]; all consumers.
    DEVICE void consume(int k) const {
        const int warpgroup = threadIdx.x / 128, lane = threadIdx.x % 32;
        float acc[N / 2];
        int stage = 0, round = 0, before = 0;
        for (int channel = 0; channel < k; channel += DEPTH) {
            mbarrier_wait(full + stage, round & 1);
            const Shared<__nv_bfloat16> tile = ring + stage * STAGE;
            const uint64_t weight = wgmma_descriptor(tile + warpgroup * 64 * DEPTH, Swizzle::Bytes128, 1024);
            const uint64_t x = wgmma_descriptor(tile + COLUMNS * DEPTH, Swizzle::Bytes128, 1024);
            wgmma_fence();
#pragma unroll
            for (int i = 0; i < DEPTH / 16; i++)
                wgmma_m64k16<N>(acc, wgmma_advance(weight, 32 * i), wgmma_advance(x, 32 * i), channel + i > 0);
            wgmma_commit();
            wgmma_wait<1>();  // the stage before is read
            if (channel > 0 && lane == 0) mbarrier_arrive(empty + before);
            before = stage;
            if (++stage == STAGES) stage = 0, round++;
        }
        wgmma_wait<0>();
        // Half of the lanes take the rows of a pair in the other order: 32 banks.
        const int column = threadIdx.x / 32 * 16 + lane / 4, row = lane % 4 * 2, swap = lane / 2 % 2;
#pragma unroll
        for (int i = 0; i < N / 2; i++)
            sums[(i / 4 * 8 + row + (i % 2 ^ swap)) * PITCH + column + i / 2 % 2 * 8] = swap ? acc[i ^ 1] : acc[i];
        named_barrier_sync(1, CONSUMERS);
    }

    // Makes the barriers ready; one thread, before any other comes near them.
    DEVICE void open() const {
        for (int s = 0; s < STAGES; s++) {
            mbarrier_init(full + s, 1);
            mbarrier_init(empty + s, CONSUMERS / 32);
        }
        mbarrier_init_fence();
    }
};

// The block's tile of the product, handed to `epilogue`. Grid: tiles of rows, tiles of columns. The maps are of x in boxes
// of Tile::ROWS rows and of the weight in boxes of Tile::COLUMNS, 64 channels each.
template <class Tile, class Epilogue>
DEVICE void wgmma_product(Arena& arena, const uint64_t (&x_map)[16], const uint64_t (&weight_map)[16],
                          const Shape& shape, const Epilogue& epilogue) {
    const Tile tile(arena);
    const int row = blockIdx.x * Tile::ROWS, column = blockIdx.y * Tile::COLUMNS;
    if (threadIdx.x == 0) tile.open();
    __syncthreads();
    if (threadIdx.x < Tile::CONSUMERS) {
        tile.consume(shape.k);
        finish<Tile::ROWS, Tile::COLUMNS, Tile::CONSUMERS, false>(tile.sums, tile.sums, shape, row, column, epilogue);
    } else if (threadIdx.x == Tile::CONSUMERS) {
        tile.produce((const TensorMap*)x_map, (const TensorMap*)weight_map, row, column, shape.k);
    }
}

// The tiles there are, by the rows of x they take: 85, 99 and 197 KiB of shared memory.
using Tile16 = WgmmaTile<1, 16, 8>;
using Tile64 = WgmmaTile<1, 64, 5>;
using Tile128 = WgmmaTile<2, 128, 4>;
#endif
