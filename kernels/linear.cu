// out = epilogue(x W + b): bias, GELU, or a perturbed branch added to the stream; and silu(even column) * odd column of a
// weight that interleaves gate and up, halving the width.
//
// x [rows][k] and weight [n][k], both of the type in the kernel's name; sums, bias and stream f32; out by its dtype. Grid
// (ceil(rows / M), ceil(n / N)) of the tile (gemm.h, gemm_f32.h). Least bytes: 2 n k + 2 rows k in, and of each element of
// out 4 or 2 written and 4 read where something is added. A weight's row is read ceil(rows / M) times, by neighbouring
// blocks, a row of x ceil(n / N) times; both from L2 but for the first time.
#include "gemm.h"
#include "gemm_f32.h"

template <class Epilogue> DEVICE void linear_f32_tile(Arena& arena, const LinearParams& p) {
    product_f32(arena, {p.rows, p.n, p.k}, p.x, p.weight, Unchanged{}, InOrder{}, Epilogue{p});
}

template <class Tile, class Epilogue> DEVICE void linear_bf16_tile(Arena& arena, const LinearParams& p) {
    const Shape shape{p.rows, p.n, p.k};
    product<Tile>(arena, shape, p.weight, Rounded<Tile>(arena, p.x, shape), InOrder{}, Epilogue{p});
}

KERNEL(linear_f32, LinearParams, F32Tile::THREADS) {
    DYNAMIC_SHARED(arena);
    linear_f32_tile<LinearEpilogue>(arena, p);
}
KERNEL(linear_bf16_tall, LinearParams, Tall::THREADS, 2) {
    DYNAMIC_SHARED(arena);
    linear_bf16_tile<Tall, LinearEpilogue>(arena, p);
}
KERNEL(linear_bf16_medium, LinearParams, Medium::THREADS) {
    DYNAMIC_SHARED(arena);
    linear_bf16_tile<Medium, LinearEpilogue>(arena, p);
}
KERNEL(linear_bf16_skinny, LinearParams, Skinny::THREADS) {
    DYNAMIC_SHARED(arena);
    linear_bf16_tile<Skinny, LinearEpilogue>(arena, p);
}

KERNEL(linear_swiglu_f32, LinearParams, F32Tile::THREADS) {
    DYNAMIC_SHARED(arena);
    linear_f32_tile<SwigluEpilogue>(arena, p);
}
KERNEL(linear_swiglu_bf16_tall, LinearParams, Tall::THREADS, 2) {
    DYNAMIC_SHARED(arena);
    linear_bf16_tile<Tall, SwigluEpilogue>(arena, p);
}
KERNEL(linear_swiglu_bf16_medium, LinearParams, Medium::THREADS) {
    DYNAMIC_SHARED(arena);
    linear_bf16_tile<Medium, SwigluEpilogue>(arena, p);
}
KERNEL(linear_swiglu_bf16_skinny, LinearParams, Skinny::THREADS) {
    DYNAMIC_SHARED(arena);
    linear_bf16_tile<Skinny, SwigluEpilogue>(arena, p);
}
