// Rows of a projection taken apart, queries to rows of their own, keys and values to rows `places` of others, and put together.
//
// A block a row, 4 bytes a thread side by side, since heads of any width may begin anywhere; of w channels 4 w bytes are read
// and written once, the fewest possible.
#include "row.h"

// Calls move(fused, apart) with channel c of the row and where it is by itself, for each of this thread's channels.
template <class Move> DEVICE void each_channel(const HeadsParams& p, Move move) {
    const uint32_t place = global<const uint32_t>(p.places)[blockIdx.x];
    const Global<float> fused = row_of<float>(p.qkv, blockIdx.x);
    const Global<float> q = row_of<float>(p.q, blockIdx.x), k = row_of<float>(p.k, place), v = row_of<float>(p.v, place);
    for (uint32_t c = threadIdx.x; c < p.queries; c += blockDim.x) move(fused[c], q[c]);
    for (uint32_t c = threadIdx.x; c < p.keys; c += blockDim.x) {
        move(fused[p.queries + c], k[c]);
        move(fused[p.queries + p.keys + c], v[c]);
    }
}

KERNEL(split_heads, HeadsParams, 512) {
    each_channel(p, [](const float& fused, float& apart) { apart = fused; });
}

KERNEL(join_heads, HeadsParams, 512) {
    each_channel(p, [](float& fused, const float& apart) { fused = apart; });
}
