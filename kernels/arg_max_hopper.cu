// arg_max_bf16 on sm_90a, by the tiles of linear_hopper.cu: the same sums as that writes, bit for bit, looked at where
// they lie in shared memory; arg_max_finish does the rest. The weight's 2 n k bytes are read once where the rows fit one
// tile.
#include "arg_max.h"
#include "wgmma_gemm.h"

#if HAS_WGMMA
// Grid: tiles of rows, tiles of columns.
template <class Tile> DEVICE void arg_max_tile(const ArgMaxHopperParams& p) {
    DYNAMIC_SHARED(arena);
    const Tile tile(arena);
    const int row = blockIdx.x * Tile::ROWS, column = blockIdx.y * Tile::COLUMNS;
    const TensorMap *x = (const TensorMap*)p.x_map, *weight = (const TensorMap*)p.weight_map;
    tile.run(x, weight, row, column, p.arg_max.k, [&] {
        const int lane = threadIdx.x % 32, rows = min(Tile::ROWS, (int)p.arg_max.rows - row);
        for (int r = threadIdx.x / 32; r < rows; r += Tile::CONSUMERS / 32) {
            Best best = nothing();
#pragma unroll
            for (int c = lane; c < Tile::COLUMNS; c += 32)
                if (column + c < (int)p.arg_max.n) keep(best, tile.sums[r * Tile::PITCH + c], column + c);
            best = best_of_lanes<32>(best);
            if (lane == 0) store_partial(p.arg_max, row + r, blockIdx.y, best);
        }
    });
}

KERNEL(arg_max_hopper_16, ArgMaxHopperParams, Tile16::THREADS, 1) { arg_max_tile<Tile16>(p); }
KERNEL(arg_max_hopper_64, ArgMaxHopperParams, Tile64::THREADS, 1) { arg_max_tile<Tile64>(p); }
KERNEL(arg_max_hopper_128, ArgMaxHopperParams, Tile128::THREADS, 1) { arg_max_tile<Tile128>(p); }
#endif
