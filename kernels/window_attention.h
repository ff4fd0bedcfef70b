// Attention over windows in f32: tiles of 32 rows of queries against tiles of 32 positions, for one head. A block of eight
// warps has one tile of its own and goes through those of the other kind; a warp has four lines of the own tile. Of a product
// of two tiles a lane has one line of the other, of what is summed over lines every 32nd channel.
#pragma once
#include "row.h"

constexpr uint32_t LINES = 32, WARP_LINES = 4, WINDOW_THREADS = LINES / WARP_LINES * 32;

// Floats from line to line of a tile in shared memory: an odd number of vectors, which puts eight lines on distinct banks.
DEVICE uint32_t line_pitch(uint32_t dim) { return ((dim + 3) / 4 | 1) * 4; }

DEVICE Shared<float> take_tile(Arena& arena, uint32_t dim) { return arena.take<float>(LINES * line_pitch(dim), 16); }

// This warp's first line of its own tile.
DEVICE uint32_t warp_line() { return threadIdx.x / 32 * WARP_LINES; }

// Rows first ... first + count - 1, their channels from `offset` on; zeros where lines or, up to a whole vector, channels end.
DEVICE void load_tile(Shared<float> tile, const Rows& rows, uint32_t first, uint32_t count, uint32_t offset, uint32_t dim) {
    const uint32_t fours = (dim + 3) / 4, pitch = line_pitch(dim);
    for (uint32_t i = threadIdx.x; i < LINES * fours; i += WINDOW_THREADS) {
        const uint32_t line = i / fours, channel = i % fours * 4;
        Four v = {};
        if (line < count) {
            const Global<const float> from = row_of<const float>(rows, first + line) + (offset + channel);
            if (dim % 4 == 0) {
                v = view<const Four>(from)[0];
            } else {
                // Heads begin at no multiple of 16 bytes.
#pragma unroll
                for (uint32_t c = 0; c < 4; c++)
                    if (channel + c < dim) v.of[c] = from[c];
            }
        }
        view<Four>(tile + (line * pitch + channel))[0] = v;
    }
}

// The products of this warp's lines of `own` with line `lane` of `other`, each one fmaf chain over the channels.
DEVICE void dots(float (&sums)[WARP_LINES], Shared<const float> own, Shared<const float> other, uint32_t dim) {
    const uint32_t pitch = line_pitch(dim), lane = threadIdx.x % 32;
#pragma unroll
    for (uint32_t i = 0; i < WARP_LINES; i++) sums[i] = 0.0f;
#pragma unroll 2
    for (uint32_t c = 0; c < dim; c += 4) {
        const Four b = view<const Four>(other + (lane * pitch + c))[0];
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++) {
            const Four a = view<const Four>(own + ((warp_line() + i) * pitch + c))[0];
#pragma unroll
            for (uint32_t k = 0; k < 4; k++) sums[i] = __fmaf_rn(a.of[k], b.of[k], sums[i]);
        }
    }
}

// The sums of this warp's lines, of up to 32 C channels: channel lane + 32 j at [j].
template <uint32_t C> struct Sums {
    float of[WARP_LINES][C];

    DEVICE void clear() {
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++)
#pragma unroll
            for (uint32_t j = 0; j < C; j++) of[i][j] = 0.0f;
    }

    // += the lines of `other`, each times this lane's warp's weights [WARP_LINES][LINES], one after the other.
    DEVICE void add(Shared<const float> weights, Shared<const float> other, uint32_t dim) {
        const uint32_t pitch = line_pitch(dim), lane = threadIdx.x % 32;
#pragma unroll 1
        for (uint32_t line = 0; line < LINES; line += 4) {
            Four w[WARP_LINES];
#pragma unroll
            for (uint32_t i = 0; i < WARP_LINES; i++) w[i] = view<const Four>(weights + (i * LINES + line))[0];
#pragma unroll
            for (uint32_t k = 0; k < 4; k++)
#pragma unroll
                for (uint32_t j = 0; j < C; j++) {
                    const float v = 32 * j + lane < dim ? other[(line + k) * pitch + 32 * j + lane] : 0.0f;
#pragma unroll
                    for (uint32_t i = 0; i < WARP_LINES; i++) of[i][j] = __fmaf_rn(w[i].of[k], v, of[i][j]);
                }
        }
    }

    // Calls use(i, channel, sum) for this lane's channels of the warp's lines below `lines`.
    template <class Use> DEVICE void each(uint32_t lines, uint32_t dim, Use use) const {
        const uint32_t lane = threadIdx.x % 32;
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++)
#pragma unroll
            for (uint32_t j = 0; j < C; j++)
                if (warp_line() + i < lines && 32 * j + lane < dim) use(i, 32 * j + lane, of[i][j]);
    }
};

DEVICE float warp_sum(float v) {
    return fold_warp(v, [](float a, float b) { return a + b; });
}
DEVICE float warp_max(float v) {
    return fold_warp(v, [](float a, float b) { return fmaxf(a, b); });
}

// Largest score and sum of e^(score - largest) of this warp's rows.
struct Softmax {
    float largest[WARP_LINES], total[WARP_LINES];

    DEVICE void clear() {
#pragma unroll
        for (uint32_t i = 0; i < WARP_LINES; i++) largest[i] = -INFINITY, total[i] = 0.0f;
    }

    // Takes a score a lane of row i, -infinity where it sees nothing, and returns its weight; `factor` is what sums of earlier
    // weights have to be multiplied with. Scores that a row does not see leave it as it is, bit for bit.
    DEVICE float add(uint32_t i, float score, float& factor) {
        const float top = fmaxf(largest[i], warp_max(score)), base = top == -INFINITY ? 0.0f : top;
        const float weight = expf(score - base);
        factor = expf(largest[i] - base);
        total[i] = __fmaf_rn(total[i], factor, warp_sum(weight));
        largest[i] = top;
        return weight;
    }
};

// Positions that row warp_line() + i of a tile sees, from the tile's first on; none behind the tile's last row.
DEVICE uint32_t visible_to(const WindowAttentionParams& p, const WindowTile& tile, uint32_t line) {
    return line < tile.rows ? global<const uint32_t>(p.visible)[tile.first_row + line] : 0;
}

// Channels of a row before those of the head of keys and values that query head `head` reads.
DEVICE uint32_t kv_offset(const WindowAttentionParams& p, uint32_t head) {
    return head / (p.query_heads / p.kv_heads) * p.head_dim;
}
