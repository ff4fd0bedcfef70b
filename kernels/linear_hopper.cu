// linear.cu on sm_90a: out = epilogue(x W + b), x and W in bf16, by TMA and wgmma.
//
// A block of one consumer warpgroup and a producer warp computes 64 columns of up to 16 or 64 rows, one of two computes
// 128 columns of up to 128 rows, 64 channels a stage of the ring, and hands the sums to the epilogue. The launch takes the
// smallest tile that holds the rows, then tiles of 128 side by side, so that their blocks read the same columns of W while
// they are in L2: the weight's 2 n k bytes are read once, x's 2 k a row by each tile of columns from L2.
// In flight a block: 56, 32 and 48 KiB of the weight.
#include "wgmma_gemm.h"

#if HAS_WGMMA
// Grid: tiles of rows, tiles of columns.
template <class Tile, class Epilogue> DEVICE void linear_tile(const LinearHopperParams& p) {
    DYNAMIC_SHARED(arena);
    const Tile tile(arena);
    const int row = blockIdx.x * Tile::ROWS, column = blockIdx.y * Tile::COLUMNS;
    const TensorMap *x = (const TensorMap*)p.x_map, *weight = (const TensorMap*)p.weight_map;
    tile.run(x, weight, row, column, p.linear.k, [&] {
        const Shape shape{p.linear.rows, p.linear.n, p.linear.k};
        finish<Tile::ROWS, Tile::COLUMNS, Tile::CONSUMERS, false>(tile.sums, tile.sums, shape, row, column,
                                                                 Epilogue{p.linear});
    });
}

#define FORMS(name, Epilogue)                                                                                       \
    KERNEL(name##_16, LinearHopperParams, Tile16::THREADS, 2) { linear_tile<Tile16, Epilogue>(p); }                 \
    KERNEL(name##_64, LinearHopperParams, Tile64::THREADS, 2) { linear_tile<Tile64, Epilogue>(p); }                 \
    KERNEL(name##_128, LinearHopperParams, Tile128::THREADS, 1) { linear_tile<Tile128, Epilogue>(p); }
FORMS(linear_hopper, LinearEpilogue)
FORMS(linear_hopper_swiglu, SwigluEpilogue)
#endif
