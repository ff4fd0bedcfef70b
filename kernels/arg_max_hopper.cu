// arg_max.cu on sm_90a, by the tiles of linear_hopper.cu and with its sums, bit for bit; arg_max_finish does the rest. The
// weight's 2 n k bytes are read once where the rows fit one tile.
#include "arg_max.h"
#include "wgmma_gemm.h"

#if HAS_WGMMA
#define ARG_MAX(name, Tile, blocks)                                                                           \
    KERNEL(name, ArgMaxHopperParams, Tile::THREADS, blocks) {                                                 \
        DYNAMIC_SHARED(arena);                                                                                \
        const Shape shape{p.arg_max.rows, p.arg_max.n, p.arg_max.k};                                          \
        wgmma_product<Tile>(arena, p.x_map, p.weight_map, shape, ArgMaxEpilogue{p.arg_max});                  \
    }
ARG_MAX(arg_max_hopper_16, Tile16, 2)
ARG_MAX(arg_max_hopper_64, Tile64, 2)
ARG_MAX(arg_max_hopper_128, Tile128, 1)
#endif
