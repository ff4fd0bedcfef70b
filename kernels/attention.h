// What a warp does in attention over bf16: sixteen query rows against tiles of keys and values in shared memory, by
// mma.m16n8k16 with f32 sums and an online softmax in powers of two (FlashAttention-2, arXiv 2307.08691). In terms of
// g = lane / 4 and t = lane % 4 a lane holds rows g and g + 8, and of eight neighbouring columns 2t and 2t + 1.
#pragma once
#include "pair.h"
#include "tensor_core.h"

constexpr float NOTHING_SEEN = -INFINITY;  // the largest of no scores

// Neighbouring positions of one span, for one kv head.
//
// Addresses, not pointers: on a global pointer that a loop carries nvcc 13.0 (cicc) runs without end.
struct Tile {
    uint64_t keys, values;
    uint32_t start;  // absolute position of the first
    uint32_t count;  // 0: there is none
};

// Of the tiles of `Positions` that each span is cut into from its first position on, those with a rank in `first`,
// `first` + `stride`, …; positions from `limit` on are left out.
template <uint32_t Positions> struct Tiles {
    uint64_t span;  // the next one's address
    uint32_t spans, tile, stride, limit;

    // `offset`: elements of a position's row before those of the head.
    DEVICE Tile next(uint32_t slot, uint32_t width, uint32_t offset) {
        Tile found = {};
#pragma unroll 1
        while (spans && !found.count) {
            const KvSpan s = global<const KvSpan>(span)[0];
            const uint32_t seen = s.start < limit ? min(s.count, limit - s.start) : 0;
            const uint32_t at = tile * Positions;
            if (at < seen) {
                tile += stride;
                const uint64_t first = slot * s.slot_stride + ((uint64_t)at * width + offset) * sizeof(__nv_bfloat16);
                found.keys = s.keys + first;
                found.values = s.values + first;
                found.start = s.start + at;
                found.count = min(seen - at, Positions);
            } else {
                tile -= (s.count + Positions - 1) / Positions;
                spans--;
                span += sizeof(KvSpan);
            }
        }
        return found;
    }
};

// Where 16-byte chunk `chunk` of row `row` of a tile of `D` channels lies: chunks are xored so that the eight rows that
// ldmatrix reads at once lie on distinct banks.
template <uint32_t D> DEVICE uint32_t chunk_at(uint32_t row, uint32_t chunk) {
    constexpr uint32_t shift = D % 64 == 0 ? 0 : D % 32 == 0 ? 1 : 2;
    return row * D + (chunk ^ (row >> shift & 7u >> shift)) * 8;
}

// Starts copying the tile's keys, and behind them its values, by `Threads` threads; what it lacks of `Positions`
// positions or `D` channels becomes zero.
template <uint32_t D, uint32_t Positions, uint32_t Threads>
DEVICE void copy_tile(Shared<__nv_bfloat16> to, const Tile& tile, uint32_t dim, uint32_t width) {
    constexpr uint32_t chunks = D / 8;
#pragma unroll
    for (uint32_t i = 0; i < Positions * chunks / Threads; i++) {
        const uint32_t c = threadIdx.x % Threads + i * Threads, row = c / chunks, chunk = c % chunks;
        const bool there = row < tile.count && chunk * 8 < dim;
        const uint32_t from = there ? row * width + chunk * 8 : 0, bytes = there ? 16 : 0;
        const uint32_t at = chunk_at<D>(row, chunk);
        cp_async<16>(to + at, global<const __nv_bfloat16>(tile.keys) + from, bytes);
        cp_async<16>(to + Positions * D + at, global<const __nv_bfloat16>(tile.values) + from, bytes);
    }
}

// Sixteen query rows.
template <uint32_t D> struct Queries {
    uint32_t fragments[D / 16][4];

    // Rows g and g + 8 of `dim` channels, as far as they are `there`; the others are zero.
    DEVICE void load(const Global<const __nv_bfloat16> (&rows)[2], const bool (&there)[2], uint32_t dim) {
#pragma unroll
        for (uint32_t k = 0; k < D / 16; k++)
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const uint32_t channel = k * 16 + i / 2 * 8 + threadIdx.x % 4 * 2;
                fragments[k][i] =
                    there[i % 2] && channel < dim ? view<const uint32_t>(rows[i % 2] + channel)[0] : 0;
            }
    }
};

// softmax(q k)·v of sixteen rows over the positions seen so far: for row g + 8h the largest score, this lane's part of
// the sum of 2^(score - largest), and the sums of values so weighted, not yet divided.
template <uint32_t D> struct Online {
    float largest[2], total[2], sums[D / 8][4];

    DEVICE void clear() {
#pragma unroll
        for (uint32_t h = 0; h < 2; h++) largest[h] = NOTHING_SEEN, total[h] = 0.0f;
#pragma unroll
        for (uint32_t j = 0; j < D / 8; j++)
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) sums[j][i] = 0.0f;
    }

    // Adds a tile, of which row g + 8h sees the first `seen[h]` positions; `scale` times log2(e) is in the scores' scale.
    // Positions that a row does not see leave it as it is, bit for bit.
    template <uint32_t Positions>
    DEVICE void add(const Queries<D>& q, Shared<const __nv_bfloat16> keys, const int (&seen)[2], float scale) {
        const uint32_t lane = threadIdx.x % 32;
        const Shared<const __nv_bfloat16> values = keys + Positions * D;
        float scores[Positions / 8][4] = {};
#pragma unroll
        for (uint32_t k = 0; k < D / 16; k++)
#pragma unroll
            for (uint32_t j = 0; j < Positions / 16; j++) {
                uint32_t f[4];
                ldmatrix_x4(f, keys + chunk_at<D>(16 * j + lane % 8 + lane / 16 * 8, 2 * k + lane / 8 % 2));
                mma_m16n8k16(scores[2 * j], q.fragments[k], {f[0], f[1]});
                mma_m16n8k16(scores[2 * j + 1], q.fragments[k], {f[2], f[3]});
            }
#pragma unroll
        for (uint32_t h = 0; h < 2; h++) weigh<Positions>(scores, h, seen[h], scale);
#pragma unroll
        for (uint32_t k = 0; k < Positions / 16; k++) {
            const uint32_t weights[4] = {
                bf16_pair(scores[2 * k][0], scores[2 * k][1]), bf16_pair(scores[2 * k][2], scores[2 * k][3]),
                bf16_pair(scores[2 * k + 1][0], scores[2 * k + 1][1]),
                bf16_pair(scores[2 * k + 1][2], scores[2 * k + 1][3])};
#pragma unroll
            for (uint32_t j = 0; j < D / 16; j++) {
                uint32_t f[4];
                ldmatrix_x4_trans(f, values + chunk_at<D>(16 * k + lane % 16, 2 * j + lane / 16));
                mma_m16n8k16(sums[2 * j], weights, {f[0], f[1]});
                mma_m16n8k16(sums[2 * j + 1], weights, {f[2], f[3]});
            }
        }
    }

    // Turns the scores of row g + 8h into weights, and what there is to their scale.
    template <uint32_t Positions>
    DEVICE void weigh(float (&scores)[Positions / 8][4], uint32_t h, int seen, float scale) {
        const int column = threadIdx.x % 4 * 2;
        float top = largest[h];
#pragma unroll
        for (int j = 0; j < (int)Positions / 8; j++)
#pragma unroll
            for (int e = 0; e < 2; e++) {
                float& score = scores[j][2 * h + e];
                // Not folded into the exponent: the largest score has to give a weight of exactly 1.
                score = 8 * j + column + e < seen ? __fmul_rn(score, scale) : NOTHING_SEEN;
                top = fmaxf(top, score);
            }
        top = quad_max(top);
        const float base = top == NOTHING_SEEN ? 0.0f : top, factor = exp2f(largest[h] - base);
        float weights = 0.0f;
#pragma unroll
        for (uint32_t j = 0; j < Positions / 8; j++)
#pragma unroll
            for (uint32_t e = 0; e < 2; e++) {
                float& score = scores[j][2 * h + e];
                score = exp2f(score - base);
                weights += score;
            }
        largest[h] = top;
        total[h] = fmaf(total[h], factor, weights);
#pragma unroll
        for (uint32_t j = 0; j < D / 8; j++)
#pragma unroll
            for (uint32_t e = 0; e < 2; e++) sums[j][2 * h + e] *= factor;
    }

    // The sum of all weights of row g + 8h.
    DEVICE float whole(uint32_t h) const {
        const float half = total[h] + __shfl_xor_sync(FULL_WARP, total[h], 1);
        return half + __shfl_xor_sync(FULL_WARP, half, 2);
    }

  private:
    DEVICE static float quad_max(float v) {
        v = fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 1));
        return fmaxf(v, __shfl_xor_sync(FULL_WARP, v, 2));
    }
};
