// Queries, keys and values of rows in one product: x W + b, queries and keys rotated by the row's angles, queries to `out`,
// keys and values to the row's places in the cache. `qkv_norm` takes x in f32 and normalises it on the way in: its
// channels times the norm's weight go into the product, whose sums are multiplied by 1/sqrt(mean(x^2) + eps).
//
// x [rows][k] and weight [n][k] of the type in the kernel's name, n = (query_heads + 2 kv_heads) head_dim. Grid
// (ceil(rows / M), ceil(n / N)). Least bytes: 2 n k + 2 rows k (4 rows k of f32) in, 2 rows n out. Half-split rotations
// take the weight's rows in another order (HeadColumns), so that what is rotated together is one pair of columns.
#include "gemm.h"
#include "gemm_f32.h"

DEVICE Shape qkv_shape(const QkvParams& p) {
    return {p.rows, (p.query_heads + 2 * p.kv_heads) * p.head_dim, p.k};
}

template <class Tile> DEVICE void qkv_tile(Arena& arena, const QkvParams& p) {
    const Shape shape = qkv_shape(p);
    product<Tile>(arena, shape, p.weight, Rounded<Tile>(arena, p.x, shape), HeadColumns(p), QkvEpilogue{p});
}

template <class Tile> DEVICE void qkv_norm_tile(Arena& arena, const QkvParams& p) {
    using Norm = RootMeanSquare<Tile::M, Tile::THREADS>;
    const Shape shape = qkv_shape(p);
    const Transformed<Tile, Norm> input(arena, p.x, shape, Norm(p.norm_weight, p.k, p.eps));
    product<Tile>(arena, shape, p.weight, input, HeadColumns(p), QkvEpilogue{p});
}

KERNEL(qkv_f32, QkvParams, F32Tile::THREADS) {
    DYNAMIC_SHARED(arena);
    product_f32(arena, qkv_shape(p), p.x, p.weight, Unchanged{}, HeadColumns(p), QkvEpilogue{p});
}
KERNEL(qkv_bf16_tall, QkvParams, Tall::THREADS, 2) {
    DYNAMIC_SHARED(arena);
    qkv_tile<Tall>(arena, p);
}
KERNEL(qkv_bf16_medium, QkvParams, Medium::THREADS) {
    DYNAMIC_SHARED(arena);
    qkv_tile<Medium>(arena, p);
}
KERNEL(qkv_bf16_skinny, QkvParams, Skinny::THREADS) {
    DYNAMIC_SHARED(arena);
    qkv_tile<Skinny>(arena, p);
}

KERNEL(qkv_norm_f32, QkvParams, F32Tile::THREADS) {
    DYNAMIC_SHARED(arena);
    using Norm = RootMeanSquare<F32Tile::M, F32Tile::THREADS>;
    product_f32(arena, qkv_shape(p), p.x, p.weight, Norm(p.norm_weight, p.k, p.eps), HeadColumns(p), QkvEpilogue{p});
}
KERNEL(qkv_norm_bf16_medium, QkvParams, Medium::THREADS) {
    DYNAMIC_SHARED(arena);
    qkv_norm_tile<Medium>(arena, p);
}
KERNEL(qkv_norm_bf16_skinny, QkvParams, Skinny::THREADS) {
    DYNAMIC_SHARED(arena);
    qkv_norm_tile<Skinny>(arena, p);
}
