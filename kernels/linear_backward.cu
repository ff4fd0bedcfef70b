// dw += dy' x, the gradient of a linear's matrix: x [rows][k], dy [rows][n], dw [n][k], f32.
//
// Grid (ceil(k / 64), ceil(n / 64)): a block of 256 threads has 64 rows of dw and 64 of their channels, a thread 4 x 4 of them,
// each one fmaf chain by rising row, as on the CPU: bits are equal. Sixteen rows of both operands lie in shared memory while the
// next are copied, 16 KiB in all. Least bytes: 4 rows (n + k) read and 8 n k of dw read and written; x is read ceil(n / 64) times
// and dy ceil(k / 64), from L2 but for the first time.
#include "row.h"
#include "tensor_core.h"

constexpr uint32_t SIDE = 64, DEPTH = 16, STAGE = 2 * DEPTH * SIDE;

// Starts the copy of four channels of one row; zeros past the rows or the last vector of channels.
DEVICE void copy_piece(Shared<float> to, const Rows& rows, uint32_t row, uint32_t count, uint32_t channel, uint32_t width) {
    const bool there = row < count && channel < width;
    cp_async<16>(to, global<const float>(rows.data) + (there ? (size_t)row * rows.pitch + channel : 0), there ? 16 : 0);
}

KERNEL(linear_backward_weight, LinearBackwardParams, 256) {
    DYNAMIC_SHARED(arena);
    const Shared<float> stages = arena.take<float>(2 * STAGE, 16);
    const uint32_t line = threadIdx.x / 16, four = threadIdx.x % 16 * 4, piece = line * SIDE + four;
    const uint32_t n = blockIdx.y * SIDE, k = blockIdx.x * SIDE;
    const auto start = [&](uint32_t first, uint32_t stage) {
        copy_piece(stages + (stage + piece), p.dy, first + line, p.rows, n + four, p.n);
        copy_piece(stages + (stage + DEPTH * SIDE + piece), p.x, first + line, p.rows, k + four, p.k);
    };

    float sums[4][4] = {};
    uint32_t stage = 0;
    start(0, stage);
    cp_async_commit();
#pragma unroll 1
    for (uint32_t first = 0; first < p.rows; first += DEPTH) {
        cp_async_wait<0>();
        __syncthreads();  // these rows are there for all, and all are done with those before
        if (first + DEPTH < p.rows) start(first + DEPTH, STAGE - stage);
        cp_async_commit();
        const Shared<const float> dy = stages + (stage + 4 * line), x = stages + (stage + DEPTH * SIDE + four);
#pragma unroll
        for (uint32_t row = 0; row < DEPTH; row++) {
            const Four a = view<const Four>(dy + row * SIDE)[0], b = view<const Four>(x + row * SIDE)[0];
#pragma unroll
            for (uint32_t i = 0; i < 4; i++)
#pragma unroll
                for (uint32_t j = 0; j < 4; j++) sums[i][j] = __fmaf_rn(a.of[i], b.of[j], sums[i][j]);
        }
        stage = STAGE - stage;
    }
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) {
        const uint32_t row = n + 4 * line + i, channel = k + four;
        if (row < p.n && channel < p.k) {
            // Whole vectors: what lies between width and pitch is nobody's.
            const Global<Four> out = view<Four>(row_of<float>(p.dw, row) + channel);
            Four v = out[0];
#pragma unroll
            for (uint32_t j = 0; j < 4; j++) v.of[j] = __fadd_rn(v.of[j], sums[i][j]);
            out[0] = v;
        }
    }
}
