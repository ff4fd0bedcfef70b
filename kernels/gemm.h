// Products x W of bf16 through mma.sync and cp.async, sm_80 and up: x [rows][k], weight [n][k].
//
// A block has M rows of x and N rows of the weight; steps of 64 channels of both are under way in a ring of STAGES, rows
// of 128 bytes whose 16-byte chunks are xored with the row, so that the eight rows of an ldmatrix lie on distinct banks.
// Every sum is one f32 accumulator's chain over k16 steps in rising k, x the mma's A and the weight its B: all tiles give
// the same bits, and which one runs is a matter of speed. What lies past the rows, n or k arrives as zero.
//
//   Tall    128 x 128, 8 warps of 64 x 32, 3 stages, 96 KiB: 64 flops a byte of shared memory; prefill.
//   Medium   64 x 64,  4 warps of 32 x 32, 4 stages, 64 KiB: more blocks where rows are fewer; batched decode.
//   Skinny   16 x 32,  4 warps of 16 x 8,  8 stages, 48 KiB: streams the weight; up to 16 rows.
//
// Transformed, x takes as much again in f32 and two tiles of bf16: 112 KiB of Medium, 68 KiB of Skinny.
//
// Blocks along grid.x are tiles of rows, along grid.y tiles of columns: neighbours share the weight's rows, which come
// from memory once if x stays in L2.
#pragma once
#include "input.h"
#include "tensor_core.h"

template <uint32_t M_, uint32_t N_, uint32_t WARPS_M_, uint32_t WARPS_N_, uint32_t STAGES_> struct Tile {
    static constexpr uint32_t M = M_, N = N_, WARPS_M = WARPS_M_, WARPS_N = WARPS_N_, STAGES = STAGES_;
    static constexpr uint32_t THREADS = 32 * WARPS_M * WARPS_N;
    static constexpr uint32_t WARP_M = M / WARPS_M, WARP_N = N / WARPS_N;
};
using Tall = Tile<128, 128, 2, 4, 3>;
using Medium = Tile<64, 64, 2, 2, 4>;
using Skinny = Tile<16, 32, 1, 4, 8>;

// Element 8 * chunk of a row of a tile.
DEVICE uint32_t place(uint32_t row, uint32_t chunk) { return row * DEPTH + (chunk ^ (row & 7)) * CHUNK; }

constexpr uint32_t ABSENT = 0xffffffffu;

// Copies a tile of rows of bf16, each thread its share.
template <uint32_t ROWS, uint32_t THREADS> class Copied {
    using Mine = Share<ROWS, THREADS>;
    Global<const uint4> data_;
    uint32_t from_[Mine::SLOTS];  // in chunks
    uint32_t k_, present_ = 0;

  public:
    // row_at(i): which row stands at row i of the tile, or ABSENT.
    template <class RowAt>
    DEVICE Copied(const Rows& rows, uint32_t k, RowAt row_at) : data_(global<const uint4>(rows.data)), k_(k) {
#pragma unroll
        for (uint32_t slot = 0; slot < Mine::SLOTS; slot++) {
            const uint32_t row = row_at(Mine::row(slot));
            present_ |= (uint32_t)(row != ABSENT) << slot;
            from_[slot] = (row != ABSENT ? row : 0) * (rows.pitch / CHUNK) + Mine::chunk();
        }
    }
    DEVICE void start(Shared<__nv_bfloat16> to, uint32_t step) const {
        const uint32_t column = step * DEPTH + Mine::chunk() * CHUNK, left = column < k_ ? k_ - column : 0;
#pragma unroll
        for (uint32_t slot = 0; slot < Mine::SLOTS; slot++)
            cp_async<16>(to + place(Mine::row(slot), Mine::chunk()), data_ + (from_[slot] + step * CHUNKS),
                         present_ >> slot & 1 ? 2 * min(left, CHUNK) : 0);
    }
};

// Rows of x in bf16: the ring's own.
template <class Tile> class Rounded {
    Copied<Tile::M, Tile::THREADS> copied_;

  public:
    static constexpr uint32_t STAGE = Tile::M * DEPTH;  // elements of bf16 that a stage takes
    static constexpr uint32_t AHEAD = 0;                // steps that have to be there before their own
    static constexpr bool SCALES = false;

    DEVICE Rounded(Arena&, const Rows& x, const Shape& shape)
        : copied_(x, shape.k, [&](uint32_t i) {
              const uint32_t row = blockIdx.x * Tile::M + i;
              return row < shape.rows ? row : ABSENT;
          }) {}
    DEVICE void start(Shared<__nv_bfloat16> stage, uint32_t step) const { copied_.start(stage, step); }
    DEVICE void prepare(Shared<const __nv_bfloat16>, uint32_t) const {}
    DEVICE Shared<const __nv_bfloat16> rows(Shared<const __nv_bfloat16> stage, uint32_t) const { return stage; }
    DEVICE void factors(Shared<float>) const {}
};

// Rows of x in f32, transformed and then rounded: the ring holds them as they are, and a step before its own each thread
// takes what it has copied itself to one of two tiles of bf16.
template <class Tile, class Transform> class Transformed {
    using Mine = Share<Tile::M, Tile::THREADS>;
    static constexpr uint32_t HALF = Tile::M * DEPTH / 2;  // floats: the first halves of all chunks, then the second
    Shared<__nv_bfloat16> tiles_;
    Global<const float> x_;
    uint32_t pitch_, rows_, k_;
    Transform transform_;

    DEVICE static uint32_t held(uint32_t slot) { return (slot * Tile::THREADS + threadIdx.x) * 4; }

  public:
    static constexpr uint32_t STAGE = 2 * Tile::M * DEPTH;
    static constexpr uint32_t AHEAD = 1;
    static constexpr bool SCALES = Transform::SCALES;

    DEVICE Transformed(Arena& arena, const Rows& x, const Shape& shape, const Transform& transform)
        : tiles_(arena.take<__nv_bfloat16>(2 * Tile::M * DEPTH, 128)),
          x_(global<const float>(x.data) + (size_t)blockIdx.x * Tile::M * x.pitch),
          pitch_(x.pitch),
          rows_(shape.rows - blockIdx.x * Tile::M),
          k_(shape.k),
          transform_(transform) {}
    DEVICE void start(Shared<__nv_bfloat16> stage, uint32_t step) const {
        const uint32_t column = step * DEPTH + Mine::chunk() * CHUNK;
        const Shared<float> to = view<float>(stage);
#pragma unroll
        for (uint32_t slot = 0; slot < Mine::SLOTS; slot++) {
            const bool there = Mine::row(slot) < rows_ && column < k_;  // the whole chunk: pitches are multiples of 8
            const Global<const float> from = x_ + ((size_t)(there ? Mine::row(slot) : 0) * pitch_ + (there ? column : 0));
            cp_async<16>(to + held(slot), from, there ? 16 : 0);
            cp_async<16>(to + (HALF + held(slot)), from + 4, there ? 16 : 0);
        }
    }
    DEVICE void prepare(Shared<const __nv_bfloat16> stage, uint32_t step) {
        const uint32_t column = step * DEPTH + Mine::chunk() * CHUNK;
        const Shared<const float> from = view<const float>(stage);
#pragma unroll
        for (uint32_t slot = 0; slot < Mine::SLOTS; slot++) {
            const float4 a = view<const float4>(from + held(slot))[0], b = view<const float4>(from + (HALF + held(slot)))[0];
            float v[CHUNK] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
            if (Mine::row(slot) < rows_ && column < k_) {
                mask_tail(v, column, k_);
                transform_(slot, blockIdx.x * Tile::M + Mine::row(slot), column, v);
                mask_tail(v, column, k_);
            }
            view<uint4>(tiles_ + (step % 2 * Tile::M * DEPTH + place(Mine::row(slot), Mine::chunk())))[0] = make_uint4(
                bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3]), bf16_pair(v[4], v[5]), bf16_pair(v[6], v[7]));
        }
    }
    DEVICE Shared<const __nv_bfloat16> rows(Shared<const __nv_bfloat16>, uint32_t step) const {
        return tiles_ + step % 2 * Tile::M * DEPTH;
    }
    DEVICE void factors(Shared<float> to) const { transform_.factors(to); }
};

// sums += x W over one step, for a warp's rows of both.
template <uint32_t M16, uint32_t N8>
DEVICE void multiply(float (&sums)[M16][N8][4], Shared<const __nv_bfloat16> x, Shared<const __nv_bfloat16> weight) {
    // k16 steps, and columns by eight, of an ldmatrix of the weight.
    constexpr uint32_t STEPS = N8 % 2 ? 2 : 1, PAIR = 2 / STEPS;
    const uint32_t lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t step = 0; step < DEPTH / 16; step += STEPS) {
        uint32_t a[STEPS][M16][4], b[N8 / PAIR][4];
#pragma unroll
        for (uint32_t j = 0; j < N8 / PAIR; j++) {
            const uint32_t row = PAIR == 2 ? j * 16 + lane / 16 * 8 + lane % 8 : j * 8 + lane % 8;
            ldmatrix_x4(b[j], weight + place(row, step * 2 + (PAIR == 2 ? lane / 8 % 2 : lane / 8)));
        }
#pragma unroll
        for (uint32_t k = 0; k < STEPS; k++)
#pragma unroll
            for (uint32_t i = 0; i < M16; i++)
                ldmatrix_x4(a[k][i], x + place(i * 16 + lane % 16, (step + k) * 2 + lane / 16));
#pragma unroll
        for (uint32_t k = 0; k < STEPS; k++)
#pragma unroll
            for (uint32_t i = 0; i < M16; i++)
#pragma unroll
                for (uint32_t j = 0; j < N8; j++) {
                    const uint32_t at = 2 * (PAIR == 2 ? j % 2 : k);
                    const uint32_t pair[2] = {b[j / PAIR][at], b[j / PAIR][at + 1]};
                    mma_m16n8k16(sums[i][j], a[k][i], pair);
                }
    }
}

// The block's tile of the product, handed to `epilogue`. `weight_row(column)`: which row of the weight is a column's.
template <class Tile, class Input, class WeightRow, class Epilogue>
DEVICE void product(Arena& arena, const Shape& shape, const Rows& weight, Input input, WeightRow weight_row,
                    const Epilogue& epilogue) {
    constexpr uint32_t WEIGHT = Tile::N * DEPTH, STAGE = WEIGHT + Input::STAGE, M16 = Tile::WARP_M / 16, N8 = Tile::WARP_N / 8;
    static_assert(Tile::M * (SUMS_PITCH<Tile::N> + 1) * 2 <= Tile::STAGES * STAGE, "the sums take the ring's place");
    const Shared<__nv_bfloat16> ring = arena.take<__nv_bfloat16>(Tile::STAGES * STAGE, 128);
    const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const uint32_t warp_m = warp % Tile::WARPS_M * Tile::WARP_M, warp_n = warp / Tile::WARPS_M * Tile::WARP_N;
    const uint32_t first_row = blockIdx.x * Tile::M, first_column = blockIdx.y * Tile::N;
    const Copied<Tile::N, Tile::THREADS> weights(weight, shape.k, [&](uint32_t i) {
        return first_column + i < shape.n ? weight_row(first_column + i) : ABSENT;
    });
    const auto start = [&](uint32_t step, uint32_t slot) {
        weights.start(ring + slot * STAGE, step);
        input.start(ring + (slot * STAGE + WEIGHT), step);
    };
    // A warp whose rows or columns are all beyond the last has nothing to multiply.
    const bool active = first_row + warp_m < shape.rows && first_column + warp_n < shape.n;
    const uint32_t steps = (shape.k + DEPTH - 1) / DEPTH;

    float sums[M16][N8][4] = {};
#pragma unroll
    for (uint32_t step = 0; step < Tile::STAGES - 1; step++) {
        if (step < steps) start(step, step);
        cp_async_commit();
    }
    if constexpr (Input::AHEAD > 0) {
        cp_async_wait<Tile::STAGES - 2>();
        input.prepare(ring + WEIGHT, 0);
    }
    uint32_t slot = 0;
#pragma unroll 1
    for (uint32_t step = 0; step < steps; step++) {
        const uint32_t next = slot + 1 < Tile::STAGES ? slot + 1 : 0, before = slot > 0 ? slot - 1 : Tile::STAGES - 1;
        cp_async_wait<Tile::STAGES - 2 - Input::AHEAD>();
        __syncthreads();  // this step is there for all, and all are done with the one before
        if (step + Tile::STAGES - 1 < steps) start(step + Tile::STAGES - 1, before);
        cp_async_commit();
        if (Input::AHEAD > 0 && step + 1 < steps) input.prepare(ring + (next * STAGE + WEIGHT), step + 1);
        if (active)
            multiply(sums, input.rows(ring + (slot * STAGE + WEIGHT), step) + warp_m * DEPTH,
                     Shared<const __nv_bfloat16>(ring + (slot * STAGE + warp_n * DEPTH)));
        slot = next;
    }

    __syncthreads();  // all are done with the ring, whose first stage makes room for the sums
    const Shared<float> staged = view<float>(ring), factors = staged + Tile::M * SUMS_PITCH<Tile::N>;
#pragma unroll
    for (uint32_t i = 0; i < M16; i++)
#pragma unroll
        for (uint32_t j = 0; j < N8; j++)
#pragma unroll
            for (uint32_t h = 0; h < 2; h++) {
                const uint32_t row = warp_m + i * 16 + h * 8 + lane / 4, column = warp_n + j * 8 + lane % 4 * 2;
                view<float2>(staged + (row * SUMS_PITCH<Tile::N> + column))[0] =
                    make_float2(sums[i][j][2 * h], sums[i][j][2 * h + 1]);
            }
    input.factors(factors);
    __syncthreads();
    finish<Tile::M, Tile::N, Tile::THREADS, Input::SCALES>(staged, factors, shape, first_row, first_column, epilogue);
}
