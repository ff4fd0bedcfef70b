// Products x W of f32, for parity: x [rows][k], weight [n][k]. A block of 128 threads has 32 rows of x and 64 rows of the
// weight, a thread 4 x 4 sums of them, each one fmaf chain in rising k, as on the CPU: bits are equal.
// Shared memory: 64 channels of both at a time, rows 68 floats apart; 25.5 KiB.
#pragma once
#include "input.h"

struct F32Tile {
    static constexpr uint32_t M = 32, N = 64, THREADS = 128, PITCH = DEPTH + 4;
};

// The block's tile of the product, handed to `epilogue`. `weight_row(column)`: which row of the weight is a column's.
template <class Transform, class WeightRow, class Epilogue>
DEVICE void product_f32(Arena& arena, const Shape& shape, const Rows& x, const Rows& weight, Transform transform,
                        WeightRow weight_row, const Epilogue& epilogue) {
    using T = F32Tile;
    using X = Share<T::M, T::THREADS>;
    using W = Share<T::N, T::THREADS>;
    const Shared<float> tile = arena.take<float>((T::M + T::N) * T::PITCH, 16), weights = tile + T::M * T::PITCH;
    const uint32_t first_row = blockIdx.x * T::M, first_column = blockIdx.y * T::N;
    // Rows 4 i ... 4 i + 3, and columns j, j + 16, j + 32, j + 48.
    const uint32_t mine = threadIdx.x / 16 * 4, across = threadIdx.x % 16;
    const auto store = [](Shared<float> to, const float(&v)[CHUNK]) {
        view<float4>(to)[0] = make_float4(v[0], v[1], v[2], v[3]);
        view<float4>(to + 4)[0] = make_float4(v[4], v[5], v[6], v[7]);
    };
    float sums[4][4] = {};
#pragma unroll 1
    for (uint32_t first = 0; first < shape.k; first += DEPTH) {
        const uint32_t column = first + X::chunk() * CHUNK;
#pragma unroll
        for (uint32_t slot = 0; slot < X::SLOTS; slot++) {
            const uint32_t row = first_row + X::row(slot);
            float v[CHUNK] = {};
            if (row < shape.rows && column < shape.k) {
                load_chunk(v, global<const float>(x.data) + ((size_t)row * x.pitch + column));
                mask_tail(v, column, shape.k);
                transform(slot, row, column, v);
                mask_tail(v, column, shape.k);
            }
            store(tile + (X::row(slot) * T::PITCH + X::chunk() * CHUNK), v);
        }
#pragma unroll
        for (uint32_t slot = 0; slot < W::SLOTS; slot++) {
            const uint32_t n = first_column + W::row(slot);
            float v[CHUNK] = {};
            if (n < shape.n && column < shape.k)
                load_chunk(v, global<const float>(weight.data) + ((size_t)weight_row(n) * weight.pitch + column));
            store(weights + (W::row(slot) * T::PITCH + W::chunk() * CHUNK), v);
        }
        __syncthreads();
        if (first_row + mine < shape.rows) {
            const uint32_t depth = min(shape.k - first, DEPTH);
#pragma unroll 1
            for (uint32_t k = 0; k < depth; k += 4) {
                float4 a[4], b[4];
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) {
                    a[i] = view<const float4>(tile + ((mine + i) * T::PITCH + k))[0];
                    b[i] = view<const float4>(weights + ((across + 16 * i) * T::PITCH + k))[0];
                }
#pragma unroll
                for (uint32_t i = 0; i < 4; i++)
#pragma unroll
                    for (uint32_t j = 0; j < 4; j++) {
                        sums[i][j] = __fmaf_rn(a[i].x, b[j].x, sums[i][j]);
                        sums[i][j] = __fmaf_rn(a[i].y, b[j].y, sums[i][j]);
                        sums[i][j] = __fmaf_rn(a[i].z, b[j].z, sums[i][j]);
                        sums[i][j] = __fmaf_rn(a[i].w, b[j].w, sums[i][j]);
                    }
            }
        }
        __syncthreads();
    }

    const Shared<float> factors = tile + T::M * SUMS_PITCH<T::N>;
#pragma unroll
    for (uint32_t i = 0; i < 4; i++)
#pragma unroll
        for (uint32_t j = 0; j < 4; j++) tile[(mine + i) * SUMS_PITCH<T::N> + across + 16 * j] = sums[i][j];
    transform.factors(factors);
    __syncthreads();
    finish<T::M, T::N, T::THREADS, Transform::SCALES>(tile, factors, shape, first_row, first_column, epilogue);
}
