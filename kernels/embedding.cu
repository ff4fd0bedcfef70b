// out[i] = scale * table[ids[i]] + position_table[positions[i]]: rows of f32 from tables of f32 or bf16.
//
// A block a row. A row of w channels is read once a table, 4 w or 2 w bytes (a warp's loads of bf16 are 256 bytes side
// by side), and 4 w bytes are written: the fewest possible.
#include "row.h"

template <class Token, class Position> DEVICE void embed(const EmbeddingParams& p) {
    const uint32_t row = blockIdx.x;
    const Global<const Token> token = row_of<const Token>(p.table, global<const uint32_t>(p.ids)[row]);
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
            const float scaled = __fmul_rn(p.scale, parts.token.of[i]);
            v.of[i] = placed ? __fadd_rn(scaled, parts.position.of[i]) : scaled;
        }
        store_four(out + channel, v, count);
    });
}

KERNEL(embedding, EmbeddingParams, 512) {
    const bool wide = p.position_table.dtype == DTYPE_F32;
    if (p.table.dtype == DTYPE_F32)
        wide ? embed<float, float>(p) : embed<float, __nv_bfloat16>(p);
    else
        wide ? embed<__nv_bfloat16, float>(p) : embed<__nv_bfloat16, __nv_bfloat16>(p);
}
