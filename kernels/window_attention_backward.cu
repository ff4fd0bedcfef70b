// The gradients of window_attention.cu from its operands, its result and that's gradient: with P the softmax and
// dS = P (dout v' - dout out) / sqrt(d), dq = dS k, and dk += dS' q, dv += P' dout. f32.
//
// Two launches, each sum in a block of its own, so that its order follows from windows alone (no atomics):
//
// `window_queries`, grid (tiles of 32 rows, query heads): the largest score and the sum of weights of each row, once through
// the keys; then, once through keys and values, P and dq. What makes P of scores, and dout out, is left for the other launch.
//
// `window_keys`, grid (tiles of 32 positions, kv heads): all tiles of rows that see any of the positions, head by head, rows
// in rising order.
//
// Bytes: for 32 rows of a head keys are read twice and values once, 12 d a position, tile and head, and for 32 positions
// queries and dout once, 8 d a row, tile and head, from the second-level cache but for the first; 4 d are the fewest possible
// of each. dq is written once, dk and dv read and written once. Shared memory: four tiles, 512 d bytes, and 4 KiB of weights,
// or 8.
#include "window_attention.h"

// What makes probabilities of a row's scores, and dout out.
struct alignas(16) Statistics {
    float largest, factor, level, padding;

    DEVICE float probability(float score) const { return __fmul_rn(expf(score - largest), factor); }
    DEVICE float slope(float probability, float product, float scale) const {
        return __fmul_rn(__fmul_rn(probability, __fsub_rn(product, level)), scale);
    }
};

template <uint32_t C> DEVICE void window_queries(Arena& arena, const WindowAttentionParams& p) {
    const uint32_t dim = p.head_dim, head = blockIdx.y, lane = threadIdx.x % 32, offset = kv_offset(p, head);
    const WindowTile tile = global<const WindowTile>(p.tiles)[blockIdx.x];
    const Shared<float> queries = take_tile(arena, dim), douts = take_tile(arena, dim);
    const Shared<float> keys = take_tile(arena, dim), values = take_tile(arena, dim);
    const Shared<float> weights = arena.take<float>(LINES * LINES, 16) + warp_line() * LINES;
    uint32_t visible[WARP_LINES];
#pragma unroll
    for (uint32_t i = 0; i < WARP_LINES; i++) visible[i] = visible_to(p, tile, warp_line() + i);
    load_tile(queries, p.q, tile.first_row, tile.rows, head * dim, dim);
    load_tile(douts, p.dout, tile.first_row, tile.rows, head * dim, dim);
    // Results take the place of values for now.
    load_tile(values, p.out, tile.first_row, tile.rows, head * dim, dim);

    Softmax softmax;
    softmax.clear();
    float scores[WARP_LINES], factor;
#pragma unroll 1
    for (uint32_t first = 0; first < tile.seen; first += LINES) {
        __syncthreads();  // all are done with the keys before
        load_tile(keys, p.k, tile.first + first, min(tile.seen - first, LINES), offset, dim);
        __syncthreads();  // the keys are there
        dots(scores, queries, keys, dim);
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++)
            softmax.add(i, first + lane < visible[i] ? __fmul_rn(scores[i], p.scale) : -INFINITY, factor);
    }
    Statistics rows[WARP_LINES];
#pragma unroll
    for (uint32_t i = 0; i < WARP_LINES; i++) {
        const uint32_t line = (warp_line() + i) * line_pitch(dim);
        float level = 0.0f;
        for (uint32_t c = lane; c < dim; c += 32) level = __fmaf_rn(douts[line + c], values[line + c], level);
        rows[i] = {softmax.largest[i], __frcp_rn(softmax.total[i]), warp_sum(level), 0.0f};
        const size_t row = tile.first_row + warp_line() + i;
        if (lane == 0 && warp_line() + i < tile.rows)
            global<Statistics>(p.statistics)[row * p.query_heads + head] = rows[i];
    }

    Sums<C> sums;
    sums.clear();
#pragma unroll 1
    for (uint32_t first = 0; first < tile.seen; first += LINES) {
        const uint32_t count = min(tile.seen - first, LINES);
        __syncthreads();  // all are done with the tiles before
        load_tile(keys, p.k, tile.first + first, count, offset, dim);
        load_tile(values, p.v, tile.first + first, count, offset, dim);
        __syncthreads();  // the tiles are there
        float products[WARP_LINES];
        dots(scores, queries, keys, dim);
        dots(products, douts, values, dim);
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++) {
            const bool seen = first + lane < visible[i];
            const float probability = seen ? rows[i].probability(__fmul_rn(scores[i], p.scale)) : 0.0f;
            weights[i * LINES + lane] = seen ? rows[i].slope(probability, products[i], p.scale) : 0.0f;
        }
        __syncwarp();  // the warp's weights are there
        sums.add(weights, keys, dim);
    }
    sums.each(tile.rows, dim, [&](uint32_t i, uint32_t channel, float sum) {
        row_of<float>(p.dq, tile.first_row + warp_line() + i)[head * dim + channel] = sum;
    });
}

template <uint32_t C> DEVICE void window_keys(Arena& arena, const WindowAttentionParams& p) {
    const uint32_t dim = p.head_dim, lane = threadIdx.x % 32, offset = blockIdx.y * dim, group = p.query_heads / p.kv_heads;
    const WindowPositions own = global<const WindowPositions>(p.positions)[blockIdx.x];
    const Shared<float> keys = take_tile(arena, dim), values = take_tile(arena, dim);
    const Shared<float> queries = take_tile(arena, dim), douts = take_tile(arena, dim);
    const Shared<float> shares = arena.take<float>(LINES * LINES, 16) + warp_line() * LINES;
    const Shared<float> slopes = arena.take<float>(LINES * LINES, 16) + warp_line() * LINES;
    load_tile(keys, p.k, own.first, own.count, offset, dim);
    load_tile(values, p.v, own.first, own.count, offset, dim);

    Sums<C> dk, dv;
    dk.clear();
    dv.clear();
#pragma unroll 1
    for (uint32_t at = 0; at < group * own.seers; at++) {
        const uint32_t head = blockIdx.y * group + at / own.seers;
        const uint32_t seer = global<const uint32_t>(p.seers)[own.first_seer + at % own.seers];
        const WindowTile tile = global<const WindowTile>(p.tiles)[seer];
        __syncthreads();  // all are done with the tiles before
        load_tile(queries, p.q, tile.first_row, tile.rows, head * dim, dim);
        load_tile(douts, p.dout, tile.first_row, tile.rows, head * dim, dim);
        __syncthreads();  // the tiles are there
        const uint32_t row = lane < tile.rows ? lane : 0, visible = visible_to(p, tile, lane);
        const Statistics of_row =
            global<const Statistics>(p.statistics)[(size_t)(tile.first_row + row) * p.query_heads + head];
        float scores[WARP_LINES], products[WARP_LINES];
        dots(scores, keys, queries, dim);
        dots(products, values, douts, dim);
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++) {
            // Wraps around below the window, to more than it has.
            const bool seen = own.first + warp_line() + i - tile.first < visible;
            const float probability = seen ? of_row.probability(__fmul_rn(scores[i], p.scale)) : 0.0f;
            shares[i * LINES + lane] = probability;
            slopes[i * LINES + lane] = seen ? of_row.slope(probability, products[i], p.scale) : 0.0f;
        }
        __syncwarp();  // the warp's weights are there
        dk.add(slopes, queries, dim);
        dv.add(shares, douts, dim);
    }
    const auto add_to = [&](const Rows& rows) {
        return [&](uint32_t i, uint32_t channel, float sum) {
            const Global<float> to = row_of<float>(rows, own.first + warp_line() + i) + (offset + channel);
            to[0] = __fadd_rn(to[0], sum);
        };
    };
    dk.each(own.count, dim, add_to(p.dk));
    dv.each(own.count, dim, add_to(p.dv));
}

// Heads of up to so many channels.
#define WINDOW_ATTENTION_BACKWARD(channels)                                            \
    KERNEL(window_queries_##channels, WindowAttentionParams, WINDOW_THREADS, 1) {      \
        DYNAMIC_SHARED(arena);                                                         \
        window_queries<channels / 32>(arena, p);                                       \
    }                                                                                  \
    KERNEL(window_keys_##channels, WindowAttentionParams, WINDOW_THREADS, 1) {         \
        DYNAMIC_SHARED(arena);                                                         \
        window_keys<channels / 32>(arena, p);                                          \
    }
WINDOW_ATTENTION_BACKWARD(64)
WINDOW_ATTENTION_BACKWARD(128)
WINDOW_ATTENTION_BACKWARD(256)
