// linear.cu on sm_90a.
#include "wgmma_gemm.h"

#if HAS_WGMMA
struct Store {
    const LinearParams& p;
    DEVICE void operator()(uint32_t row, uint32_t column, float a, float b) const {
        Global<float> o = global<float>(p.out.data) + (size_t)row * p.out.pitch + column;
        o[0] = a;
        if (column + 1 < p.n) o[1] = b;
    }
};

template <class Tile, class Epilogue> DEVICE void product(const LinearHopperParams& p) {
    DYNAMIC_SHARED(arena);
    const Tile tile(arena);
    const int row = blockIdx.x * Tile::ROWS, column = blockIdx.y * Tile::COLUMNS;
    const TensorMap *x = (const TensorMap*)p.x_map, *weight = (const TensorMap*)p.weight_map;
    tile.run(x, weight, row, column, p.linear.k, [&] {
        tile.each_pair(row, column, p.linear.rows, p.linear.n, Epilogue{p.linear});
    });
}

KERNEL(linear_hopper_16, LinearHopperParams, Tile16::THREADS, 1) { product<Tile16, Store>(p); }
KERNEL(linear_hopper_64, LinearHopperParams, Tile64::THREADS, 1) { product<Tile64, Store>(p); }
KERNEL(linear_hopper_128, LinearHopperParams, Tile128::THREADS, 1) { product<Tile128, Store>(p); }
#endif
