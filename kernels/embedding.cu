// out[i] = scale * table[ids[i]], or a latent in its place, + position_table[positions[i]]: rows of f32 from tables of f32
// or bf16.
//
// A block a row. A row of w channels is read once a table, 4 w or 2 w bytes (a warp's loads of bf16 are 256 bytes side
// by side), and 4 w bytes are written: the fewest possible.
#include "row.h"

template <class Token, class Position>
DEVICE void embed(const EmbeddingParams& p, Global<const Token> token, float scale) {
    const uint32_t row = blockIdx.x;
    const bool placed = p.position_table.data != 0;
    const Global<const Position> position =
        row_of<const Position>(p.position_table, placed ? global<const uint32_t>(p.positions)[row] : 0);
    const Global<float> out = row_of<float>(p.out, row);
    struct Parts {
        Four token, position;
    };
    const auto parts = [&](uint32_t channel, uint32_t count) {
        Parts parts = {load_four(token + channel, count), {}};
        if (placed) parts.position = load_four(position + channel, count);
        return parts;
    };
    each_four(p.width, parts, [&](uint32_t channel, uint32_t count, const Parts& parts) {
        Four v;
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            const float scaled = __fmul_rn(scale, parts.token.of[i]);
            v.of[i] = placed ? __fadd_rn(scaled, parts.position.of[i]) : scaled;
        }
        store_four(out + channel, v, count);
    });
}

// A chosen id is checked here alone: the host does not see it.
DEVICE uint32_t token_of(const EmbeddingParams& p, uint32_t row) {
    const uint32_t id = global<const uint32_t>(p.ids)[row];
    return id & TOKEN_CHOSEN ? min(global<const uint32_t>(p.chosen)[id & ~TOKEN_CHOSEN], p.vocabulary - 1) : id;
}

template <class Position> DEVICE void embed_row(const EmbeddingParams& p) {
    const uint64_t latent = p.latents ? global<const uint64_t>(p.latents)[blockIdx.x] : 0;
    const uint32_t id = token_of(p, blockIdx.x);
    if (latent || p.table.dtype == DTYPE_F32)
        embed<float, Position>(p, latent ? global<const float>(latent) : row_of<const float>(p.table, id),
                               latent ? 1.0f : p.scale);
    else
        embed<__nv_bfloat16, Position>(p, row_of<const __nv_bfloat16>(p.table, id), p.scale);
}

KERNEL(embedding, EmbeddingParams, 512) {
    p.position_table.dtype == DTYPE_F32 ? embed_row<float>(p) : embed_row<__nv_bfloat16>(p);
}
