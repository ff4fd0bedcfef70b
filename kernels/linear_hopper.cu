// linear.cu on sm_90a: out = epilogue(x W + b), x and W in bf16, by TMA and wgmma.
//
// A block of one consumer warpgroup and a producer warp computes 64 columns of up to 16 or 64 rows, one of two computes
// 128 columns of up to 128 rows, 64 channels a stage of the ring, and hands the sums to the epilogue. The launch takes the
// smallest tile that holds the rows, then tiles of 128 side by side, so that their blocks read the same columns of W while
// they are in L2: the weight's 2 n k bytes are read once, x's 2 k a row by each tile of columns from L2.
// In flight a block: 64, 40 and 64 KiB of the weight.
#include "wgmma_gemm.h"

#if HAS_WGMMA
#define LINEAR(name, Tile, blocks, Epilogue)                                                                  \
    KERNEL(name, LinearHopperParams, Tile::THREADS, blocks) {                                                 \
        DYNAMIC_SHARED(arena);                                                                                \
        const Shape shape{p.linear.rows, p.linear.n, p.linear.k};                                             \
        wgmma_product<Tile>(arena, p.x_map, p.weight_map, shape, Epilogue{p.linear});                         \
    }
LINEAR(linear_hopper_16, Tile16, 2, LinearEpilogue)
LINEAR(linear_hopper_64, Tile64, 2, LinearEpilogue)
LINEAR(linear_hopper_128, Tile128, 1, LinearEpilogue)
LINEAR(linear_hopper_swiglu_16, Tile16, 2, SwigluEpilogue)
LINEAR(linear_hopper_swiglu_64, Tile64, 2, SwigluEpilogue)
LINEAR(linear_hopper_swiglu_128, Tile128, 1, SwigluEpilogue)
#endif
