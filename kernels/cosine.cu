// out[i][j] = x_i x_j / (|x_i| |x_j|) of n rows, 0 where one of them is zero.
//
// A block takes a tile of 16 by 16 pairs, a thread each, and passes over the channels 64 at a time: both groups of 16 rows
// lie in shared memory, and a thread sums both norms beside the product, for a row that it reads anyway. A block reads
// 32 rows, so that n rows of w channels come 2 ceil(n/16) times, from the second-level cache but for the first: 4 n w bytes
// are the fewest possible. Within 64 channels a sum is a chain of fused multiply-adds; the chains are added in turn.
// Rows of a tile lie 68 words apart, so that 16 bytes each from eight of them come from all 32 banks.
#include "row.h"

constexpr uint32_t TILE = 16, DEPTH = 64, STRIDE = DEPTH + 4;

// Channels from `first` on of 16 rows from `row` on, zeros past either end: a thread loads four of one row.
DEVICE void load_tile(const CosineParams& p, uint32_t row, uint32_t first, Shared<float> tile) {
    const uint32_t line = threadIdx.x / (DEPTH / 4), channel = threadIdx.x % (DEPTH / 4) * 4;
    Four v = {};
    if (row + line < p.rows && first + channel < p.width) {
        const uint32_t left = p.width - first - channel;
        v = load_four(row_of<const float>(p.x, row + line) + first + channel, left < 4 ? left : 4);
    }
    view<Four>(tile + line * STRIDE + channel)[0] = v;
}

KERNEL(cosine, CosineParams, 256) {
    DYNAMIC_SHARED(arena);
    const Shared<float> left = arena.take<float>(TILE * STRIDE, 16);
    const Shared<float> right = arena.take<float>(TILE * STRIDE, 16);
    const uint32_t i = threadIdx.x / TILE, j = threadIdx.x % TILE;
    const uint32_t row = blockIdx.y * TILE, column = blockIdx.x * TILE;

    float product = 0.0f, rows = 0.0f, columns = 0.0f;
    for (uint32_t first = 0; first < p.width; first += DEPTH) {
        load_tile(p, row, first, left);
        load_tile(p, column, first, right);
        __syncthreads();  // both tiles are there
        float ab = 0.0f, aa = 0.0f, bb = 0.0f;
#pragma unroll 4
        for (uint32_t k = 0; k < DEPTH; k += 4) {
            const Four a = view<Four>(left + i * STRIDE + k)[0], b = view<Four>(right + j * STRIDE + k)[0];
#pragma unroll
            for (uint32_t c = 0; c < 4; c++) {
                ab = fmaf(a.of[c], b.of[c], ab);
                aa = fmaf(a.of[c], a.of[c], aa);
                bb = fmaf(b.of[c], b.of[c], bb);
            }
        }
        product += ab;
        rows += aa;
        columns += bb;
        __syncthreads();  // both tiles have been read
    }
    if (row + i >= p.rows || column + j >= p.rows) return;
    const float norms = __fmul_rn(__fsqrt_rn(rows), __fsqrt_rn(columns));
    row_of<float>(p.out, row + i)[column + j] = norms == 0.0f ? 0.0f : __fdiv_rn(product, norms);
}
