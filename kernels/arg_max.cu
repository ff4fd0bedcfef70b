// out[i] = the column of the largest element of row i of x W, the lowest on ties: the head's product without its logits.
//
// The tiles and sums of linear.cu, bit for bit; where that writes a tile, this looks at it in shared memory and writes 8
// bytes a row, and arg_max_finish, a block a row, takes the largest of those. The weight's 2 n k bytes (4 in f32) are read
// once where the rows fit one tile, and x from L2 by each tile of columns; 8 bytes of partials a tile of columns stand in
// for 4 of logits a column, written and read.
#include "arg_max.h"
#include "gemm.h"
#include "gemm_f32.h"

template <class Tile> DEVICE void arg_max_tile(Arena& arena, const ArgMaxParams& p) {
    const Shape shape{p.rows, p.n, p.k};
    product<Tile>(arena, shape, p.weight, Rounded<Tile>(arena, p.x, shape), InOrder{}, ArgMaxEpilogue{p});
}

// Grids as linear.cu's; tiles: those of columns.
KERNEL(arg_max_f32, ArgMaxParams, F32Tile::THREADS) {
    DYNAMIC_SHARED(arena);
    product_f32(arena, {p.rows, p.n, p.k}, p.x, p.weight, Unchanged{}, InOrder{}, ArgMaxEpilogue{p});
}
KERNEL(arg_max_bf16_medium, ArgMaxParams, Medium::THREADS) {
    DYNAMIC_SHARED(arena);
    arg_max_tile<Medium>(arena, p);
}
KERNEL(arg_max_bf16_skinny, ArgMaxParams, Skinny::THREADS) {
    DYNAMIC_SHARED(arena);
    arg_max_tile<Skinny>(arena, p);
}

constexpr uint32_t FINISH_THREADS = 256;

// out[row] of the partials of its tiles, 0 where all are NaN. Grid: rows.
KERNEL(arg_max_finish, ArgMaxParams, FINISH_THREADS) {
    DYNAMIC_SHARED(arena);
    const Shared<Best> bests = arena.take<Best>(FINISH_THREADS / 32);
    const Global<const ArgMaxPartial> partials = global<const ArgMaxPartial>(p.partials) + (size_t)blockIdx.x * p.tiles;
    Best best = nothing();
    for (uint32_t tile = threadIdx.x; tile < p.tiles; tile += FINISH_THREADS) {
        const ArgMaxPartial partial = partials[tile];
        keep(best, partial.value, partial.column);
    }
    best = best_of_lanes<32>(best);
    if (threadIdx.x % 32 == 0) bests[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x < 32) {
        best = best_of_lanes<FINISH_THREADS / 32>(bests[threadIdx.x % (FINISH_THREADS / 32)]);
        if (threadIdx.x == 0) global<uint32_t>(p.out)[blockIdx.x] = best.column == NO_COLUMN ? 0 : best.column;
    }
}
