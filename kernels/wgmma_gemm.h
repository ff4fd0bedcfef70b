// Tiles of x W on sm_90a, operands swapped: 64 columns of W (rows of the weight) to a warpgroup are wgmma's M, N rows of
// x its N, so that an element's sum is one chain over k16 steps in rising k for every number of rows.
//
// A producer's lane keeps STAGES tiles of 64 channels under way (TMA, rows of 128 bytes, swizzled); each mbarrier of
// `full` counts their bytes, each of `empty` the consumers' warps that are done with a stage. What lies beyond k, n or the
// rows arrives as zero. Sums go through shared memory to where they are used, row by row of x, columns side by side.
#pragma once
#include "hopper.h"
#include "params.h"

#if HAS_WGMMA
template <int WARPGROUPS, int N, int STAGES> struct WgmmaTile {
    static constexpr int COLUMNS = 64 * WARPGROUPS, ROWS = N;
    static constexpr int CONSUMERS = 128 * WARPGROUPS, THREADS = CONSUMERS + 32;
    static constexpr int DEPTH = 64, STAGE = (COLUMNS + N) * DEPTH;  // elements
    // A row of sums: fragments of a warp (columns g of rows 2t) go to 32 banks.
    static constexpr int PITCH = COLUMNS + 4;

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

    // The product, into `sums`; all consumers.
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
        const int column = threadIdx.x / 32 * 16 + lane / 4, row = lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < N / 2; i++)
            sums[(i / 4 * 8 + row + i % 2) * PITCH + column + i / 2 % 2 * 8] = acc[i];
        named_barrier_sync(1, CONSUMERS);
    }

    // Calls each(row, column, sum, sum of column + 1) for the tile's even columns below `n` of rows below `rows`, by all
    // consumers once the product is there.
    template <class Each> DEVICE void each_pair(int row, int column, int rows, int n, Each each) const {
        const int pairs = min(N, rows - row) * (COLUMNS / 2);
        for (int i = threadIdx.x; i < pairs; i += CONSUMERS) {
            const int r = i / (COLUMNS / 2), c = i % (COLUMNS / 2) * 2;
            const float2 pair = view<float2>(sums + r * PITCH + c)[0];
            if (column + c < n) each(row + r, column + c, pair.x, pair.y);
        }
    }

    // Runs the block: what becomes of the product is `finish`'s, for all consumers.
    template <class Finish>
    DEVICE void run(const TensorMap* x, const TensorMap* weight, int row, int column, int k, Finish finish) const {
        if (threadIdx.x == 0) {
            for (int s = 0; s < STAGES; s++) {
                mbarrier_init(full + s, 1);
                mbarrier_init(empty + s, CONSUMERS / 32);
            }
            mbarrier_init_fence();
        }
        __syncthreads();
        if (threadIdx.x < CONSUMERS) {
            consume(k);
            finish();
        } else if (threadIdx.x == CONSUMERS) {
            produce(x, weight, row, column, k);
        }
    }
};

// The tiles there are, by the rows of x they take: 85, 98 and 195 KiB of shared memory.
using Tile16 = WgmmaTile<1, 16, 8>;
using Tile64 = WgmmaTile<1, 64, 5>;
using Tile128 = WgmmaTile<2, 128, 4>;
#endif
