// out = perturb(s) W_s + injected: the state is perturbed on its way into the product and stays as it is; `injected` is
// e W_e, the same in every iteration. [s, e] is never formed (spec huginn 1.3).
//
// s f32 [rows][k], weight [n][k] of the type in the kernel's name, injected f32, out by its dtype. Grid
// (ceil(rows / M), ceil(n / N)). Least bytes: 2 n k + 4 rows k in, 4 rows n of injected, 4 rows n out. Each block perturbs
// the rows it reads, so that draws are made ceil(n / N) times: integer work beside the copies and products of other warps.
#include "gemm.h"
#include "gemm_f32.h"

template <class Tile> DEVICE void adapter_tile(Arena& arena, const AdapterParams& p) {
    using Input = Transformed<Tile, Perturbed>;
    const Shape shape{p.rows, p.n, p.k};
    product<Tile>(arena, shape, p.weight, Input(arena, p.state, shape, Perturbed{p.perturbation}), InOrder{},
                  AdapterEpilogue{p});
}

KERNEL(adapter_f32, AdapterParams, F32Tile::THREADS) {
    DYNAMIC_SHARED(arena);
    product_f32(arena, {p.rows, p.n, p.k}, p.state, p.weight, Perturbed{p.perturbation}, InOrder{}, AdapterEpilogue{p});
}
KERNEL(adapter_bf16_medium, AdapterParams, Medium::THREADS) {
    DYNAMIC_SHARED(arena);
    adapter_tile<Medium>(arena, p);
}
KERNEL(adapter_bf16_skinny, AdapterParams, Skinny::THREADS) {
    DYNAMIC_SHARED(arena);
    adapter_tile<Skinny>(arena, p);
}
