// out[i] = the column of the largest element of row i of x W, the lowest on ties: the head's product without its logits.
//
// A block computes a tile of rows by columns as linear.cu does, its largest elements in registers, then over lanes and
// warps, and writes 8 bytes a row; arg_max_finish, a block a row, takes the largest of those. The weight's 2 n k bytes
// (4 in f32) are read once where the rows fit one tile, and x from L2 by each tile of columns; 8 bytes of partials a tile
// stand in for 4 of logits a column, written and read.
#include "arg_max.h"
#include "tensor_core.h"

// bf16: 16 or 64 rows by 128 columns, 64 channels a stage, four stages of cp.async; each of four warps has 32 columns and
// all rows, its sums one chain over k16 steps. A stage's rows are 128 bytes, chunks of 16 xored by the row.
template <int ROWS> struct Bf16Tile {
    static constexpr int COLUMNS = 128, DEPTH = 64, STAGES = 4, THREADS = 128;
    static constexpr int STAGE = (ROWS + COLUMNS) * DEPTH;

    const ArgMaxParams& p;
    const int row, column;  // the tile's first

    DEVICE static int at(int row, int chunk) { return row * DEPTH + (chunk ^ (row & 7)) * 8; }

    // `count` rows from `first` on of a matrix of `rows`, channels from `channel` on; zeros outside of it.
    template <int COUNT>
    DEVICE void load(Shared<__nv_bfloat16> to, const Rows& from, int first, int rows, int channel) const {
        const int chunk = threadIdx.x % 8, start = channel + chunk * 8;
        const int bytes = max(0, min(16, 2 * ((int)p.k - start)));
#pragma unroll
        for (int i = 0; i < COUNT / (THREADS / 8); i++) {
            const int r = threadIdx.x / 8 + i * (THREADS / 8);
            const bool inside = first + r < rows && bytes > 0;
            const Global<const __nv_bfloat16> source =
                global<const __nv_bfloat16>(from.data) + (inside ? (size_t)(first + r) * from.pitch + start : 0);
            cp_async<16>(to + at(r, chunk), source, inside ? bytes : 0);
        }
    }
    DEVICE void load(Shared<__nv_bfloat16> stage, int channel) const {
        if (channel < (int)p.k) {
            load<ROWS>(stage, p.x, row, p.rows, channel);
            load<COLUMNS>(stage + ROWS * DEPTH, p.weight, column, p.n, channel);
        }
        cp_async_commit();
    }

    DEVICE void multiply(float (&acc)[ROWS / 16][4][4], Shared<__nv_bfloat16> x, Shared<__nv_bfloat16> weight) const {
        const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * 32;
#pragma unroll
        for (int k = 0; k < DEPTH / 16; k++) {
            uint32_t b[2][4];
#pragma unroll
            for (int j = 0; j < 2; j++)
                ldmatrix_x4(b[j], weight + at(first + j * 16 + lane % 8 + lane / 16 * 8, k * 2 + lane / 8 % 2));
#pragma unroll
            for (int i = 0; i < ROWS / 16; i++) {
                uint32_t a[4];
                ldmatrix_x4(a, x + at(i * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    const uint32_t half[2] = {b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]};
                    mma_m16n8k16(acc[i][j], a, half);
                }
            }
        }
    }

    DEVICE void product(float (&acc)[ROWS / 16][4][4], Shared<__nv_bfloat16> stages) const {
#pragma unroll
        for (int s = 0; s < STAGES - 1; s++) load(stages + s * STAGE, s * DEPTH);
        int stage = 0;
        for (int channel = 0; channel < (int)p.k; channel += DEPTH) {
            cp_async_wait<STAGES - 2>();
            __syncthreads();  // all copies of this stage are there, and the one before it is read
            load(stages + (stage + STAGES - 1) % STAGES * STAGE, channel + (STAGES - 1) * DEPTH);
            const Shared<__nv_bfloat16> x = stages + stage * STAGE;
            multiply(acc, x, x + ROWS * DEPTH);
            stage = (stage + 1) % STAGES;
        }
    }

    // The best of each of the tile's rows: of a thread's columns, of a warp's, of the block's.
    DEVICE void finish(const float (&acc)[ROWS / 16][4][4], Shared<Best> bests) const {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (int i = 0; i < ROWS / 8; i++) {
            Best best = nothing();
#pragma unroll
            for (int j = 0; j < 8; j++) {
                const uint32_t c = column + warp * 32 + j / 2 * 8 + lane % 4 * 2 + j % 2;
                if (c < p.n) keep(best, acc[i / 2][j / 2][i % 2 * 2 + j % 2], c);
            }
            best = best_of_lanes<4>(best);
            if (lane % 4 == 0) bests[warp * ROWS + i * 8 + lane / 4] = best;
        }
        __syncthreads();
        const int r = threadIdx.x;
        if (r >= ROWS || row + r >= (int)p.rows) return;
        Best best = bests[r];
#pragma unroll
        for (int w = 1; w < THREADS / 32; w++) {
            const Best other = bests[w * ROWS + r];
            keep(best, other.value, other.column);
        }
        store_partial(p, row + r, column / COLUMNS, best);
    }

    DEVICE void run(Arena& arena) const {
        const Shared<__nv_bfloat16> stages = arena.take<__nv_bfloat16>(STAGES * STAGE, 128);
        const Shared<Best> bests = arena.take<Best>(THREADS / 32 * ROWS);
        float acc[ROWS / 16][4][4] = {};
        product(acc, stages);
        finish(acc, bests);
    }
};

// f32: 32 rows by 64 columns, 32 channels a stage, two stages of cp.async; a thread has 4 rows by 4 columns, its sums one
// chain of fused multiply-adds in rising k. Rows are 36 words apart, so that 16 bytes of eight rows lie on 32 banks.
struct F32Tile {
    static constexpr int ROWS = 32, COLUMNS = 64, DEPTH = 32, PITCH = DEPTH + 4, THREADS = 128;
    static constexpr int STAGE = (ROWS + COLUMNS) * PITCH;

    const ArgMaxParams& p;
    const int row, column;  // the tile's first

    template <int COUNT> DEVICE void load(Shared<float> to, const Rows& from, int first, int rows, int channel) const {
        const int chunk = threadIdx.x % 8, start = channel + chunk * 4;
        const int bytes = max(0, min(16, 4 * ((int)p.k - start)));
#pragma unroll
        for (int i = 0; i < COUNT / (THREADS / 8); i++) {
            const int r = threadIdx.x / 8 + i * (THREADS / 8);
            const bool inside = first + r < rows && bytes > 0;
            const Global<const float> source =
                global<const float>(from.data) + (inside ? (size_t)(first + r) * from.pitch + start : 0);
            cp_async<16>(to + r * PITCH + chunk * 4, source, inside ? bytes : 0);
        }
    }
    DEVICE void load(Shared<float> stage, int channel) const {
        load<ROWS>(stage, p.x, row, p.rows, channel);
        load<COLUMNS>(stage + ROWS * PITCH, p.weight, column, p.n, channel);
        cp_async_commit();
    }

    DEVICE void product(float (&acc)[4][4], Shared<float> stages) const {
        load(stages, 0);
        int stage = 0;
        for (int channel = 0; channel < (int)p.k; channel += DEPTH) {
            cp_async_wait<0>();
            __syncthreads();  // all copies of this stage are there, and the other one is read
            if (channel + DEPTH < (int)p.k) load(stages + (stage ^ 1) * STAGE, channel + DEPTH);
            const Shared<float> x = stages + stage * STAGE + threadIdx.x / 16 * PITCH;
            const Shared<float> weight = stages + stage * STAGE + (ROWS + threadIdx.x % 16) * PITCH;
            for (int k = 0; k < DEPTH; k += 4) {
                float4 a[4], b[4];
#pragma unroll
                for (int i = 0; i < 4; i++) a[i] = view<float4>(x + i * 8 * PITCH + k)[0];
#pragma unroll
                for (int j = 0; j < 4; j++) b[j] = view<float4>(weight + j * 16 * PITCH + k)[0];
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        float sum = fmaf(a[i].x, b[j].x, acc[i][j]);
                        sum = fmaf(a[i].y, b[j].y, sum);
                        sum = fmaf(a[i].z, b[j].z, sum);
                        acc[i][j] = fmaf(a[i].w, b[j].w, sum);
                    }
            }
            stage ^= 1;
        }
    }

    DEVICE void run(Arena& arena) const {
        float acc[4][4] = {};
        product(acc, arena.take<float>(2 * STAGE, 16));
#pragma unroll
        for (int i = 0; i < 4; i++) {
            Best best = nothing();
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const uint32_t c = column + j * 16 + threadIdx.x % 16;
                if (c < p.n) keep(best, acc[i][j], c);
            }
            best = best_of_lanes<16>(best);
            const uint32_t r = row + i * 8 + threadIdx.x / 16;
            if (threadIdx.x % 16 == 0 && r < p.rows) store_partial(p, r, column / COLUMNS, best);
        }
    }
};

// Grids: tiles of rows, tiles of columns.
KERNEL(arg_max_f32, ArgMaxParams, 128) {
    DYNAMIC_SHARED(arena);
    F32Tile{p, (int)blockIdx.x * 32, (int)blockIdx.y * 64}.run(arena);
}
KERNEL(arg_max_bf16, ArgMaxParams, 128, 2) {
    DYNAMIC_SHARED(arena);
    Bf16Tile<64>{p, (int)blockIdx.x * 64, (int)blockIdx.y * 128}.run(arena);
}
// For at most 16 rows.
KERNEL(arg_max_bf16_skinny, ArgMaxParams, 128, 2) {
    DYNAMIC_SHARED(arena);
    Bf16Tile<16>{p, (int)blockIdx.x * 16, (int)blockIdx.y * 128}.run(arena);
}

// out[row] of the partials of its tiles, 0 where all are NaN. Grid: rows.
KERNEL(arg_max_finish, ArgMaxParams, 256) {
    DYNAMIC_SHARED(arena);
    const Shared<Best> bests = arena.take<Best>(256 / 32);
    const Global<const ArgMaxPartial> partials = global<const ArgMaxPartial>(p.partials) + (size_t)blockIdx.x * p.tiles;
    Best best = nothing();
    for (uint32_t tile = threadIdx.x; tile < p.tiles; tile += 256) {
        const ArgMaxPartial partial = partials[tile];
        keep(best, partial.value, partial.column);
    }
    best = best_of_lanes<32>(best);
    if (threadIdx.x % 32 == 0) bests[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    best = best_of_lanes<8>(bests[threadIdx.x % 8]);
    if (threadIdx.x == 0) global<uint32_t>(p.out)[blockIdx.x] = best.column == NO_COLUMN ? 0 : best.column;
}
