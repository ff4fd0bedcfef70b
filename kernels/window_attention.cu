// out = softmax(q k / sqrt(d)) v over each row's window of positions, f32: what training runs.
//
// Grid (tiles of 32 rows, query heads), tiles as in window_attention.h: rows of a tile see positions from one on. A softmax
// runs online over 32 positions at a time (FlashAttention-2, arXiv 2307.08691). Keys and values are read once for 32 rows of a
// head, 8 d bytes a position, tile and head, 4 d a row and head of queries read and of results written: the fewest possible of
// the latter, and of the former 32 times fewer than row by row. Shared memory: three tiles, 384 d bytes, and 4 KiB of weights.
//
// A row's result follows from its own window: tiles of positions are counted from the window's first.
#include "window_attention.h"

template <uint32_t C> DEVICE void window_attention(Arena& arena, const WindowAttentionParams& p) {
    const uint32_t dim = p.head_dim, head = blockIdx.y, lane = threadIdx.x % 32, offset = kv_offset(p, head);
    const WindowTile tile = global<const WindowTile>(p.tiles)[blockIdx.x];
    const Shared<float> queries = take_tile(arena, dim), keys = take_tile(arena, dim), values = take_tile(arena, dim);
    const Shared<float> weights = arena.take<float>(LINES * LINES, 16) + warp_line() * LINES;
    uint32_t visible[WARP_LINES];
#pragma unroll
    for (uint32_t i = 0; i < WARP_LINES; i++) visible[i] = visible_to(p, tile, warp_line() + i);
    load_tile(queries, p.q, tile.first_row, tile.rows, head * dim, dim);

    Softmax softmax;
    softmax.clear();
    Sums<C> sums;
    sums.clear();
#pragma unroll 1
    for (uint32_t first = 0; first < tile.seen; first += LINES) {
        const uint32_t count = min(tile.seen - first, LINES);
        __syncthreads();  // all are done with the tiles before
        load_tile(keys, p.k, tile.first + first, count, offset, dim);
        load_tile(values, p.v, tile.first + first, count, offset, dim);
        __syncthreads();  // the tiles are there
        float scores[WARP_LINES];
        dots(scores, queries, keys, dim);
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++) {
            float factor;
            const float score = first + lane < visible[i] ? __fmul_rn(scores[i], p.scale) : -INFINITY;
            weights[i * LINES + lane] = softmax.add(i, score, factor);
#pragma unroll
            for (uint32_t j = 0; j < C; j++) sums.of[i][j] = __fmul_rn(sums.of[i][j], factor);
        }
        __syncwarp();  // the warp's weights are there
        sums.add(weights, values, dim);
    }
    sums.each(tile.rows, dim, [&](uint32_t i, uint32_t channel, float sum) {
        const Global<float> out = row_of<float>(p.out, tile.first_row + warp_line() + i) + head * dim;
        out[channel] = __fdiv_rn(sum, softmax.total[i]);
    });
}

// Heads of up to so many channels.
#define WINDOW_ATTENTION(channels)                                                     \
    KERNEL(window_attention_##channels, WindowAttentionParams, WINDOW_THREADS) {       \
        DYNAMIC_SHARED(arena);                                                         \
        window_attention<channels / 32>(arena, p);                                     \
    }
WINDOW_ATTENTION(64)
WINDOW_ATTENTION(128)
WINDOW_ATTENTION(256)
